"""The command `natter`: looks at sessions from outside of any gateway."""
