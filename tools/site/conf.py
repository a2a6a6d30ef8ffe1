"""Sphinx's configuration."""

project = "Serverless order processing"
copyright = "the authors; MIT License"
html_title = project

extensions = ["myst_nb", "tools.site.sources", "tools.site.reading"]
root_doc = "index"
nitpicky = True

myst_heading_anchors = 6  # as GitHub has them
myst_links_external_new_tab = False
suppress_warnings = ["myst.header"]  # a cell of a notebook may begin with any level

nb_execution_mode = "off"
nb_render_markdown_format = "myst"
nb_ipywidgets_js: dict[str, object] = {}  # they would come from elsewhere; a widget's static picture is shown
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]

html_theme = "pydata_sphinx_theme"
html_static_path = ["static"]
templates_path = ["templates"]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}  # light or dark as the system is, until the reader switches
html_favicon = "../../web/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_use_index = False
html_domain_indices = False
html_sidebars = {"**": ["sidebar-nav-bs"], "index": [], "search": []}
html_theme_options = {
    "logo": {"text": project},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "github-dark",
    "footer_start": ["copyright"],
    "footer_end": [],
    "search_bar_text": "Search",
    "primary_sidebar_end": [],
}
