"""What registries say of images: asked once, at submission, so that all runs of a job have the same one."""
