import hypothesis
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import strategies as st

from tests import tiny_models
from tinytl_tf.memory import layout
from tinytl_tf.tflite.liveness import Lifetime
from tinytl_tf.tflite.model import Model


def slots(draw):
    count, pieces = 12, []
    for index in range(draw(st.integers(1, 30))):
        first, last = sorted(draw(st.tuples(st.integers(0, count), st.integers(0, count))))
        size = draw(st.integers(1, 1000))
        pieces.append(layout.Slot(size, Lifetime(first, last), (-size, first, index), index))
    return pieces


@hypothesis.given(st.composite(slots)())
@hypothesis.settings(max_examples=60, deadline=None)
def test_pieces_alive_together_never_overlap(pieces):
    placed = layout.lay_out(pieces)
    assert sorted(slot.tensor for slot in placed) == list(range(len(pieces)))
    for i, a in enumerate(placed):
        assert a.offset % 64 == 0
        for b in placed[:i]:
            together = a.lifetime.first <= b.lifetime.last and b.lifetime.first <= a.lifetime.last
            apart = a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset
            assert apart or not together


def test_arena_grows_after_dynamic_tensors():
    pieces = [
        layout.Slot(100, Lifetime(0, 3), (0, -100)),
        layout.Slot(50, Lifetime(2, 3), (1, -50)),
        layout.Slot(40, Lifetime(4, 5), (2, -40)),
    ]
    assert layout.arena_growth(pieces) == [0, 100, 178]
    assert layout.arena_growth(pieces[:1]) == [0, 100]
    assert layout.arena_growth([]) == [0]


def test_float_copies_of_constants_are_outside_of_the_arena():
    model = Model.from_bytes(tiny_models.build_half())
    graph = model.graphs[model.signature("infer").graph]
    copies = layout.kept_on_heap(graph)
    kernel = 9 * tiny_models.CHANNELS * tiny_models.FILTERS * 4
    assert kernel in [graph.tensors[i].bytes for i in copies]
    slots, heap = layout.graph_slots(graph, set(), 1)
    assert not copies & {slot.tensor for slot in slots}
    assert heap >= kernel

    interpreter = Interpreter(
        model_content=tiny_models.build_half(),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        num_threads=1,
    )
    image = model.signature("infer").inputs["image"]
    interpreter.get_signature_runner("infer")(image=np.zeros(image.shape, image.dtype))

    def addresses(tensors):
        big = [i for i in tensors if i is not None and graph.tensors[i].bytes > 1000]
        return [interpreter._interpreter.tensor(interpreter, i, graph.index).ctypes.data for i in big]

    placed = layout.lay_out(slots)
    start = min(addresses(slot.tensor for slot in placed))
    assert addresses(copies)
    assert not [a for a in addresses(copies) if start <= a < start + max(s.offset + s.bytes for s in placed)]
