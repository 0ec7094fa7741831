"""The undisturbed small study of the DAG tests."""

from tests.dag.conftest import undisturbed as undisturbed
