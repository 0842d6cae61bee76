"""How saved files are made: `afnio.serialization` is the public face."""
