"""Pictures: contact sheets and moving pictures of stores, diagrams of sequences."""
