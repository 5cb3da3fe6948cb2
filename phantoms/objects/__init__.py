"""Objects with a known shape: their labels at any resolution, and their k-space in closed form."""
