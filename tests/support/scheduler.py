"""Variables that schedulers and launchers set around any process, for ranks that ours are not."""

SCHEDULER = {
    **dict.fromkeys(("SLURM_NTASKS", "WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"), "4"),
    **dict.fromkeys(("SLURM_PROCID", "SLURM_LOCALID", "RANK", "LOCAL_RANK", "PMI_RANK"), "3"),
    **dict.fromkeys(("OMPI_COMM_WORLD_RANK", "JSM_NAMESPACE_RANK", "GROUP_RANK"), "3"),
    **dict.fromkeys(("SLURM_JOB_ID", "TORCHELASTIC_RUN_ID", "LSB_JOBID"), "7"),
    "SLURM_JOB_NAME": "sweep",
    "SLURM_NODELIST": "nowhere[1-4]",
    "MASTER_ADDR": "nowhere",
    "MASTER_PORT": "none",
    "NODE_RANK": "none",
    "TORCHELASTIC_RESTART_COUNT": "0",
    "KUBERNETES_PORT": "tcp://nowhere",
}
