"""The HTML page of a file of seeds, and the templates, styles and scripts it is made of."""
