"""The application: addresses, pages, forms and files, and who may see and send them."""
