"""Random graphs of views, in-place operators, sums, masks, and variables that are read and assigned in any order."""

import dataclasses

import numpy as np

from tests.export.passes.graphs import GraphBuilder, ModelBuilder
from tinytl_tf.tflite.model import Model

__all__ = ["RandomModel", "random_model"]

# Of 1024 elements: large enough for the pass that splits reads.
SHAPES = ([32, 32], [64, 16], [1024], [4, 16, 16])
VARIABLES = ("first", "second")
STEPS = 3  # turns of a loop


@dataclasses.dataclass(frozen=True)
class RandomModel:
    """A file with `train`, which takes `x` and changes the variables, and `save`, which returns them.

    Attributes:
        model: the file.
        graph: number of the graph with the random operators: that of `train`, or the body of its loop.
    """

    model: Model
    graph: int


def random_model(seed: int, operators: int = 14) -> RandomModel:
    """Builds the file; every second one runs its operators in a loop, which gets the variables as inputs."""
    rng, builder = np.random.default_rng(seed), ModelBuilder()
    train = builder.graph("train")
    initialize = _initializer(builder, rng)
    train.add("CALL_ONCE", [], initSubgraphIndex=initialize.index)
    x = train.tensor(SHAPES[0])
    handles = [train.handle(name) for name in VARIABLES]
    if seed % 2:
        body, outputs = _loop(builder, rng, train, x, handles, operators)
    else:
        body, outputs = train, _Generator(train, rng, [x], handles).run(operators)
    builder.signature("train", train, {"x": x}, {f"y{i}": tensor for i, tensor in enumerate(outputs)})
    save = builder.graph("save")
    values = {name: save.read(save.handle(name), SHAPES[0]) for name in VARIABLES}
    builder.signature("save", save, {}, values)
    return RandomModel(builder.model(), body.index)


def _initializer(builder: ModelBuilder, rng: np.random.Generator) -> GraphBuilder:
    graph = builder.graph("initialize")
    for name in VARIABLES:
        graph.add("ASSIGN_VARIABLE", [graph.handle(name), graph.constant(_values(rng, SHAPES[0]))])
    return graph


def _loop(builder, rng, train, x, handles, operators):
    condition, body = builder.graph("condition"), builder.graph("body")
    for graph in (condition, body):
        index, carried = graph.tensor([1], "int32"), graph.tensor(SHAPES[0])
        variables = [graph.tensor([], "resource") for _ in VARIABLES]
        graph.plain.inputs = [index, carried, *variables]
        if graph is condition:
            limit = graph.constant(np.array([STEPS], np.int32))
            graph.plain.outputs = [graph.apply("LESS", index, limit, dtype="bool")]
            continue
        following = graph.apply("ADD", index, graph.constant(np.array([1], np.int32)), dtype="int32")
        generator = _Generator(graph, rng, [carried], variables)
        result = generator.flatten(generator.run(operators))
        graph.plain.outputs = [following, result, *variables]
    start = train.constant(np.array([0], np.int32))
    outputs = [train.tensor([1], "int32"), train.tensor(SHAPES[0])]
    outputs += [train.tensor([], "resource") for _ in VARIABLES]
    train.add("WHILE", [start, x, *handles], outputs, condSubgraphIndex=condition.index, bodySubgraphIndex=body.index)
    return body, outputs[1:2]


def _values(rng: np.random.Generator, shape) -> np.ndarray:
    return rng.uniform(-1, 1, shape).astype(np.float32)


class _Generator:
    """Adds random operators to a graph; all tensors have as many elements."""

    def __init__(self, graph: GraphBuilder, rng: np.random.Generator, tensors: list[int], handles: list[int]) -> None:
        self.graph, self.rng, self.tensors, self.handles = graph, rng, tensors, handles
        self.wholes: list[int] = []

    def run(self, operators: int) -> list[int]:
        """Returns the outputs: new tensors, for the runtime does not overwrite outputs."""
        kinds = [self.view, self.view, self.arithmetic, self.arithmetic, self.scaled, self.quotient, self.other]
        kinds += [self.product, self.sum, self.mask, self.read, self.assign, self.read_modify_write]
        for kind in self.rng.choice(len(kinds), operators):
            made = kinds[kind]()
            if made is not None:
                self.tensors.append(made)
        chosen = dict.fromkeys([self.pick() for _ in range(4)])
        return [self.graph.apply("ABS" if i % 2 else "NEG", tensor) for i, tensor in enumerate(chosen)]

    def pick(self) -> int:
        """One of the tensors, more often a late one."""
        place = self.rng.beta(2, 1) * len(self.tensors)
        return self.tensors[int(place)]

    def shaped(self, tensor: int, shape) -> int:
        return tensor if self.graph.shape_of(tensor) == tuple(shape) else self.graph.reshape(tensor, shape)

    def pair(self) -> tuple[int, int]:
        """Two different tensors of one shape: LiteRT 2.3 with XNNPACK crashes on ADD(v, v) of a variable's value."""
        left = self.pick()
        right = self.shaped(self.pick(), self.graph.shape_of(left))
        return left, self.graph.apply("TANH", right) if right == left else right

    def view(self) -> int:
        source = self.pick()
        return self.graph.reshape(source, SHAPES[self.rng.integers(len(SHAPES))])

    def arithmetic(self) -> int:
        left, right = self.pair()
        return self.graph.apply(str(self.rng.choice(["SUB", "MUL"])), left, right)

    def scaled(self) -> int:
        source = self.pick()
        shape = self.graph.shape_of(source)
        factor = self.graph.constant(_values(self.rng, self.rng.choice([1, shape[-1]])))
        inputs = [source, factor] if self.rng.random() < 0.7 else [factor, source]
        return self.graph.apply(str(self.rng.choice(["SUB", "MUL"])), *inputs, shape=shape)

    def quotient(self) -> int:
        positive = self.graph.apply("LOGISTIC", self.pick())
        top = self.shaped(self.pick(), self.graph.shape_of(positive))
        return self.graph.apply("DIV", top, positive)

    def other(self) -> int:
        name = str(self.rng.choice(["TANH", "ABS", "NEG", "SOFTMAX", "TANH"]))
        return self.graph.apply(name, self.pick(), **({"beta": 1.0} if name == "SOFTMAX" else {}))

    def product(self) -> int:
        rows = self.shaped(self.pick(), [32, 32])
        kernel = self.graph.constant(_values(self.rng, [32, 32]) / 6)
        return self.graph.apply("FULLY_CONNECTED", rows, kernel, -1)

    def sum(self) -> int:
        """Of whole numbers, for which the order of summation, which a pass changes, does not matter."""
        terms = [self.whole() for _ in range(self.rng.integers(2, 5))]
        terms += terms[-1:] * self.rng.integers(2)
        terms = [self.shaped(term, self.graph.shape_of(terms[0])) for term in terms]
        if self.rng.random() < 0.5:
            return self.graph.apply("ADD_N", *terms)
        total = terms.pop()
        while terms:  # the last one first
            total = self.graph.apply(
                "ADD", *((terms.pop(), total) if self.rng.random() < 0.5 else (total, terms.pop()))
            )
        return total

    def mask(self) -> int:
        """Whole numbers, kept as bytes and taken back later."""
        kept = self.graph.apply("CAST", self.whole(), dtype="uint8", **_cast("float32", "uint8"))
        return self.graph.apply("CAST", kept, **_cast("uint8", "float32"))

    def whole(self) -> int:
        """A tensor of whole numbers from 0 to 6; often a view of another or of a product, and often an old one."""
        if self.wholes and self.rng.random() < 0.4:
            return self.wholes[self.rng.integers(len(self.wholes))]
        seven = self.graph.constant(np.float32([7]))
        made = self.graph.apply("FLOOR", self.graph.apply("MUL", self.graph.apply("LOGISTIC", self.pick()), seven))
        if self.rng.random() < 0.5:
            made = self.graph.apply("MUL", made, self.graph.constant(np.float32([1])))
        for shape in self.rng.permutation(len(SHAPES))[: self.rng.integers(3)]:
            made = self.graph.reshape(made, SHAPES[shape])
            self.tensors.append(made)
        self.wholes.append(made)
        return made

    def read(self) -> int:
        return self.graph.read(self.variable(), SHAPES[0])

    def assign(self) -> None:
        value = self.shaped(self.graph.apply("TANH", self.pick()), SHAPES[0])
        self.graph.add("ASSIGN_VARIABLE", [self.variable(), value])

    def read_modify_write(self) -> int:
        handle = self.variable()
        old = self.graph.read(handle, SHAPES[0])
        term = self.shaped(self.graph.apply("TANH", self.pick()), SHAPES[0])
        new = self.graph.apply("SUB", old, term)
        self.graph.add("ASSIGN_VARIABLE", [handle, new])
        return old

    def variable(self) -> int:
        return self.handles[self.rng.integers(len(self.handles))]

    def flatten(self, tensors: list[int]) -> int:
        """One bounded tensor of all, for a loop to carry."""
        total = self.shaped(tensors[0], SHAPES[0])
        for tensor in tensors[1:]:
            total = self.graph.apply("SUB", total, self.shaped(tensor, SHAPES[0]))
        return self.graph.apply("TANH", total)


def _cast(source: str, target: str) -> dict[str, int]:
    from ai_edge_litert.schema_py_generated import TensorType

    return {"inDataType": getattr(TensorType, source.upper()), "outDataType": getattr(TensorType, target.upper())}
