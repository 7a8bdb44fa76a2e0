"""Pass: sums of many tensors are taken two by two, in the order in which their terms are made."""

import copy

from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.export.passes.edit import new_operator
from tinytl_tf.flatbuffer import Graph, Model, Operator

__all__ = ["split_sums"]


def split_sums(model: Model) -> None:
    """Turns ADD_N, and ADDs of ADDs, into a chain of ADDs that takes up each term as soon as it is there.

    ADD_N needs all of its terms at once, and scratch memory besides; XNNPACK has none. TensorFlow's optimizer turns
    sums around so that the last term comes first: then all tiles of a block would wait for the last one. The result
    differs by the order of summation.

    Args:
        model: the file; its `schema` is changed.
    """
    for graph in model.graphs:
        sums = _Sums(graph)
        subgraph = model.schema.subgraphs[graph.index]
        operators = []
        for position, plain in enumerate(subgraph.operators):
            if position in sums.roots:
                operators += _chain(model.schema, subgraph, graph.operators[position], sums.terms(position))
            elif position not in sums.inner:
                operators.append(plain)
        subgraph.operators = operators


class _Sums:
    """The sums of more than two terms in a graph: `roots` are the operators with the result, `inner` parts of them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.makers = {i: position for position, op in enumerate(graph.operators) for i in op.outputs}
        self.readers = graph.readers()
        read_by = {i: position for position, op in enumerate(graph.operators) for i in op.inputs}
        self.inner = {
            position
            for position, op in enumerate(graph.operators)
            if self._is_sum(op)
            and not _activation(op)
            and self.readers[op.outputs[0]] == 1
            and op.outputs[0] not in graph.outputs
            and self._takes_up(graph.operators[read_by[op.outputs[0]]], op)
        }
        candidates = [p for p, op in enumerate(graph.operators) if self._is_sum(op) and p not in self.inner]
        self.roots = {p for p in candidates if len(self.terms(p)) > 2 or graph.operators[p].name == "ADD_N"}
        # A sum of two stays as it is.
        self.inner = {p for p in self.inner if self._root(p, read_by) in self.roots}

    def terms(self, position: int) -> list[int]:
        """Tensors that an operator adds up, in the order in which they are made."""
        terms: list[int] = []
        for i in self.graph.operators[position].inputs:
            maker = self.makers.get(i, -1)
            terms += self.terms(maker) if maker in self.inner else [i]
        return sorted(terms, key=lambda i: self.makers.get(i, -1))

    def _root(self, position: int, read_by: dict[int, int]) -> int:
        while position in self.inner:
            position = read_by[self.graph.operators[position].outputs[0]]
        return position

    def _is_sum(self, op: Operator) -> bool:
        if op.name not in ("ADD", "ADD_N") or len(op.inputs) < 2:
            return False
        result = self.graph.tensors[op.outputs[0]]
        terms = [self.graph.tensors[i] for i in op.inputs]
        return result.dtype == "float32" and all(t.shape == result.shape and not t.is_constant for t in terms)

    def _takes_up(self, reader: Operator, op: Operator) -> bool:
        return self._is_sum(reader) and reader.outputs != op.outputs


def _activation(op: Operator) -> int:
    return getattr(op.options, "fusedActivationFunction", 0)


def _chain(
    schema: schema_fb.ModelT, subgraph: schema_fb.SubGraphT, op: Operator, terms: list[int]
) -> list[schema_fb.OperatorT]:
    """ADDs that give the result of `op`; the last one applies its activation."""
    adds, total = [], terms[0]
    for place, term in enumerate(terms[1:], start=2):
        options = schema_fb.AddOptionsT()
        if place < len(terms):
            subgraph.tensors.append(copy.copy(subgraph.tensors[op.outputs[0]]))
            result = len(subgraph.tensors) - 1
        else:
            result = op.outputs[0]
            options.fusedActivationFunction = _activation(op)
        adds.append(new_operator(schema, "ADD", [total, term], [result], options))
        total = result
    return adds
