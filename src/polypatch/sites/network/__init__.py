"""The network as it comes: loaded, of which kind, put in eval mode, run with stand-ins, and watched for new weights."""
