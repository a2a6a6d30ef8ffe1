"""The site: documents and notebooks as static pages, made by Sphinx. `npm run docs` builds it and serves it.

| module | does |
|---|---|
| `building` | builds it, in these steps |
| `pages` | puts the pages together: documents and notebooks as they are, `home/`, and the API's page, made by `api` |
| `conf` | Sphinx's configuration, with two extensions of ours: |
| `sources` | a link to a file or folder of the checkout leads to a page that shows it |
| `reading` | leaves out what is for tools alone, and gives each picture of a notebook its text |
| `checking` | finds what the built pages must not have: dead links, pictures without text, assets from elsewhere |
"""
