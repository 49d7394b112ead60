"""``hpcjobs simulate``: what happens to jobs under this scheduler or that, with these policies or those."""
