"""The client without async: made of hpcjobs/client/_async."""
