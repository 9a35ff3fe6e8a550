"""Python values as record bodies and back."""
