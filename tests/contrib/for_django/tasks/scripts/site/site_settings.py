"""The settings of the site."""

import os

SECRET_KEY = "tests"
USE_TZ = True
INSTALLED_APPS = ["coshelf.contrib.django"]
TASKS = {
    "default": {
        "BACKEND": "coshelf.contrib.django.tasks.CoshelfBackend",
        "LOCATION": os.environ["SITE_SHELF"],
        "QUEUES": ["default", "mail"],
    },
}
