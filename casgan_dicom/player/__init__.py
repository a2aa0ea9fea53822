"""The source cine beside the derived cine, on one clock, in a browser: the server, and the page's code."""
