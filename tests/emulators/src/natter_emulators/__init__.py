"""Speech, language and voice services as their vendors' SDKs see them: scripted, faulty on demand, and able to hear."""
