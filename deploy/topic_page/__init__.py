"""A topic's documentation page: all that a client in any language must do, made from the contract as it stands.

`facts` gathers what a client needs, `sample` finds a body that the contract takes, `markdown` writes the page. Nothing
here talks to a broker or a registry.
"""
