"""Who may do what: users and groups, owners and modes of files, and access control lists."""
