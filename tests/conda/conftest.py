"""The finished study of the DAG tests."""

from tests.dag.conftest import finished as finished
