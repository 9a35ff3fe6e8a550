"""The operating system, one facility a module, and optional packages. No other package asks for the platform."""
