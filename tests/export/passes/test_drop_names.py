from tinytl_tf.export.passes.drop_names import drop_names
from tinytl_tf.tflite.model import Model


def test_only_inputs_and_outputs_of_graphs_keep_names(converted):
    before = Model.from_bytes(converted("tinytl-lb", "sgd", 8))
    after = Model.from_bytes(before.to_bytes())
    drop_names(after)
    after = Model.from_bytes(after.to_bytes())
    for old, new in zip(before.graphs, after.graphs, strict=True):
        assert (new.name, new.inputs, new.outputs, len(new.operators)) == (
            old.name,
            old.inputs,
            old.outputs,
            len(old.operators),
        )
        kept = {*old.inputs, *old.outputs}
        for tensor in new.tensors:
            assert tensor.name == (old.tensors[tensor.index].name if tensor.index in kept else "")
    assert after.resource_variables == before.resource_variables
    assert {name: (s.inputs, s.outputs) for name, s in after.signatures.items()} == {
        name: (s.inputs, s.outputs) for name, s in before.signatures.items()
    }
    assert len(after.to_bytes()) < 0.9 * len(before.to_bytes())
