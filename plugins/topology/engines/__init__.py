"""What is known of a fabric, said in Slurm's words: topology.conf, topology.yaml, slurm.conf. It only translates."""
