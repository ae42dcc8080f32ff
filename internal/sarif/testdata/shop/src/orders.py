import subprocess

from db import connection


def find(customer):
    query = "SELECT * FROM orders WHERE customer = '" + customer + "'"
    return connection.execute(query)


def export(name):
    return subprocess.run("tar cf " + name, shell=True)


def clean(name):
    subprocess.run("rm " + name, shell=True)  # nosemgrep
