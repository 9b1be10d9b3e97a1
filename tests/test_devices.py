"""The same code on an accelerator; skipped, and said so, where there is none."""

import pytest
import torch

import multiindex_nb as mi

CUDA = pytest.mark.skipif(not torch.cuda.is_available(),
                          reason="no CUDA device: the tests of device='cuda' did not run here")
U = mi.random_subspace(60, 2, seed=0)
X, Y = mi.sample(mi.Target.parse("h2(z1)+h2(z2)"), U, 6000, seed=0)


@CUDA
@pytest.mark.parametrize("engine", ["autograd", "fused", "power"])
@pytest.mark.parametrize("dtype, tol", [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_stage_one_on_cuda(engine, dtype, tol):
    "The same weights to float tolerance."
    nets = []
    for device in ("cpu", "cuda"):
        net = mi.symmetric_init(32, 60, 1e-8, dtype=dtype).to(device)
        mi.train_first_layer(net, X.to(device, dtype), Y.to(device, dtype), "huber", 3, engine=engine, U=U)
        nets.append(net.W.cpu().double())
    assert (nets[0] - nets[1]).norm() < tol * nets[0].norm()


@CUDA
def test_learn_on_cuda():
    "Both stages, from tensors on either side."
    here = mi.learn(X, Y, 2, "mse", steps=3, width=32, U=U)
    for source in (X, X.cuda()):
        there = mi.learn(source, Y.to(source.device), 2, "mse", steps=3, width=32, U=U, device="cuda")
        assert there.net.W.is_cuda
        assert (there.predict(X).cpu() - here.predict(X)).norm() < 1e-6 * here.predict(X).norm()


@CUDA
@pytest.mark.parametrize("engine", ["fused", "power"])
def test_no_large_copy_in_the_loop(engine):
    "What crosses between host and device in a step is scalars, not rows or weights."
    from torch.profiler import ProfilerActivity, profile

    net = mi.symmetric_init(32, 60, 1e-8).cuda()
    data = X.cuda(), Y.cuda()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA], record_shapes=True) as seen:
        mi.train_first_layer(net, *data, "huber", 3, engine=engine)
    copies = [e for e in seen.events() if e.name == "aten::_to_copy" and e.input_shapes and e.input_shapes[0]
              and max(e.input_shapes[0]) > 64]
    assert not copies, [c.input_shapes for c in copies]


def test_a_device_that_is_not_there():
    "One line, before any work, that names the device."
    name = "cuda" if not torch.cuda.is_available() else "cuda:77"
    with pytest.raises(ValueError, match=f"device '{name}' cannot be used"):
        mi.learn(X, Y, 2, device=name)


def test_data_on_another_device_is_refused():
    "A network and its rows must be in one place."
    net = mi.symmetric_init(8, 60)
    net.W = net.W.to("meta")
    with pytest.raises(ValueError, match="X must be on the device of net.W, got cpu and meta"):
        mi.train_first_layer(net, X, Y)
