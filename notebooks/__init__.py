"""The tutorial. Open the notebooks in their order; `tour` is the module that they share."""
