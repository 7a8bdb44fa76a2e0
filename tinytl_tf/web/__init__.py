"""The page that trains an exported file in a browser, and the server that serves it."""

from tinytl_tf.web.litert import LITERT_VERSION, fetch_litert, litert_files
from tinytl_tf.web.resources import Resource, page_resources
from tinytl_tf.web.server import PageServer

__all__ = ["LITERT_VERSION", "PageServer", "Resource", "fetch_litert", "litert_files", "page_resources"]
