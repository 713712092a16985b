"""Command lines over minidl's applications: python -m demos.NAME --help"""
