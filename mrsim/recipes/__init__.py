"""Recipes: data sets as data. The shipped ones are the TOML files here, beside the code that reads them."""

from mrsim.recipes.recipe import RECIPE_FOLDER, Recipe, load_recipe, recipe_for, recipe_names

__all__ = ["RECIPE_FOLDER", "Recipe", "load_recipe", "recipe_for", "recipe_names"]
