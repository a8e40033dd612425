"""The paper's experiments and its open questions, each a command that can be killed and goes on."""
