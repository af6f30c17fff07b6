"""Compares workflows with the schema of workflows: schema.py SCHEMA WORKFLOW..."""

import json
import sys

import jsonschema
import yaml


class Loader(yaml.SafeLoader):
    """YAML as GitHub reads it: `on` is a word, and not yes."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def faults(validator, workflow):
    try:
        with open(workflow, encoding="utf-8") as file:
            content = yaml.load(file, Loader)
    except yaml.YAMLError as error:
        return [str(error)]
    found = [nearest(error) for error in validator.iter_errors(content)]
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


def nearest(error):
    """Of a choice, what is wrong with the alternative that has the least wrong with it."""
    while error.context:
        alternatives = {}
        for one in error.context:
            alternatives.setdefault(one.schema_path[0], []).append(one)
        error = min(alternatives.values(), key=len)[0]
    return error


schema, *workflows = sys.argv[1:]
with open(schema, encoding="utf-8") as file:
    validator = jsonschema.Draft7Validator(json.load(file))
lines = [f"{workflow}: {fault}" for workflow in workflows for fault in faults(validator, workflow)]
print("\n".join(lines))
sys.exit(bool(lines))
