"""The command line of a site with Tasks. The environment variable SITE_SHELF names its shelf."""

import os
import sys

from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
execute_from_command_line(sys.argv)
