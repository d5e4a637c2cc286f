"""A healthy submission, and one way to break it per code: what validation must find, and where."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

HERE = "# here"  # the line that a finding must name

SUBMISSION = '''
"""SGD with momentum, compiled once."""

import functools

import jax
import jax.numpy as jnp
from algoperf import jax_sharding_utils, spec

SIZES = {
    "criteo1tb": 262_144, "fastmri": 32, "imagenet_resnet": 1024, "imagenet_vit": 1024,
    "librispeech_conformer": 256, "librispeech_deepspeech": 256, "ogbg": 512, "wmt": 128, "mnist": 16,
}


def _train_step(workload, settings, momentum, params, model_state, batch, key):
    rate, beta, dropout_rate, label_smoothing = settings

    def loss_fn(params):
        logits, new_state = workload.model_fn(
            params, batch, model_state, spec.ForwardPassMode.TRAIN, key, update_batch_norm=True,
            dropout_rate=dropout_rate,
        )
        loss = workload.loss_fn(batch["targets"], logits, batch.get("weights"), label_smoothing)
        return loss["summed"], (loss["n_valid_examples"], new_state)

    gradient, (count, new_state) = jax.grad(loss_fn, has_aux=True)(params)
    momentum = jax.tree.map(lambda m, g: beta * m + g / count, momentum, gradient)
    params = jax.tree.map(lambda p, m: p - rate * m, params, momentum)
    return momentum, params, new_state if jax.tree.leaves(new_state) else model_state


@functools.cache
def _compiled():
    everywhere = jax_sharding_utils.get_replicate_sharding()
    return jax.jit(_train_step, static_argnums=0, donate_argnums=(2, 3, 4), out_shardings=everywhere)


def _settings(point):
    smoothing = point.label_smoothing if hasattr(point, "label_smoothing") else 0.0
    return point.learning_rate, 1.0 - getattr(point, "one_minus_beta"), getattr(point, "dropout_rate", 0.0), smoothing


def get_batch_size(workload_name):
    if workload_name in SIZES:
        return SIZES[workload_name]
    raise ValueError(f"no batch size for {workload_name}")


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    momentum = jax.device_put(
        jax.tree.map(jnp.zeros_like, model_params), jax_sharding_utils.get_replicate_sharding()
    )
    settings = tuple(jnp.float32(value) for value in _settings(hyperparameters))
    return momentum, functools.partial(_compiled(), workload, settings)


def update_params(
    workload, current_param_container, current_params_types, model_state, hyperparameters, batch, loss_type,
    optimizer_state, eval_results, global_step, rng,
):
    momentum, step = optimizer_state
    params = current_param_container
    momentum, params, model_state = step(momentum, params, model_state, batch, rng)
    return (momentum, step), params, model_state


def prepare_for_eval(
    workload, current_param_container, current_params_types, model_state, hyperparameters, loss_type,
    optimizer_state, eval_results, global_step, rng,
):
    jax.block_until_ready(current_param_container)
    return optimizer_state, current_param_container, model_state


def data_selection(
    workload, input_queue, optimizer_state, current_param_container, model_state, hyperparameters, global_step, rng
):
    return next(input_queue)
'''.lstrip()

SPACE = {
    "learning_rate": {"min": 1e-4, "max": 1e-2, "scaling": "log"},
    "one_minus_beta": {"min": 0.01, "max": 0.2, "scaling": "log"},
    "dropout_rate": {"feasible_points": [0.0, 0.1]},
    "label_smoothing": {"min": 0.0, "max": 0.2, "scaling": "linear"},
}
POINT = {"learning_rate": 1e-3, "one_minus_beta": 0.1, "dropout_rate": 0.1, "label_smoothing": 0.0}
INFO = """submission_name: SGD with momentum
submission_folder: healthy
authors: A. Author
ruleset: external
framework: JAX
"""

Break = Callable[[Path], None]


def healthy(folder: Path) -> Path:
    """Writes the healthy submission."""
    folder.mkdir(parents=True)
    (folder / "submission.py").write_text(SUBMISSION)
    (folder / "submission_info.yml").write_text(INFO)
    (folder / "tuning_search_space.json").write_text(json.dumps(SPACE, indent=1))
    return folder


def code(old: str, new: str, file: str = "submission.py") -> Break:
    """Replaces a piece of the submission that is there exactly once."""

    def apply(folder: Path) -> None:
        text = (folder / file).read_text()
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        (folder / file).write_text(text.replace(old, new))

    return apply


def top(line: str) -> Break:
    """Adds a line of imports."""
    return code("import functools\n", f"import functools\n{line}\n")


def in_step(*lines: str, imports: str = "") -> Break:
    """Adds lines at the start of update_params."""
    body = "".join(f"    {line}\n" for line in lines)
    insert = code("    momentum, step = optimizer_state\n", f"{body}    momentum, step = optimizer_state\n")
    return both(top(imports), insert) if imports else insert


def both(*breaks: Break) -> Break:
    """One after the other."""

    def apply(folder: Path) -> None:
        for one in breaks:
            one(folder)

    return apply


def space(value: object) -> Break:
    """Another search space; a string is written as it stands."""

    def apply(folder: Path) -> None:
        text = value if isinstance(value, str) else json.dumps(value, indent=1)
        (folder / "tuning_search_space.json").write_text(text)

    return apply


def without(file: str) -> Break:
    """Removes a file."""
    return lambda folder: (folder / file).unlink()


def file(name: str, text: str) -> Break:
    """Writes a file."""
    return lambda folder: (folder / name).write_text(text) and None


def renamed(folder: Path) -> None:
    """Gives the folder a name that is none; the test looks for it beside."""
    folder.rename(folder.with_name("my.submission"))


def ranges(**changed: object) -> Break:
    """The healthy space with dimensions changed."""
    return space({**SPACE, **changed})


# code -> how to break the healthy submission so that exactly this code is found by reading.
STATIC: dict[str, Break] = {
    "F101": without("submission.py"),
    "F102": without("tuning_search_space.json"),
    "F103": code("ruleset: external", "ruleset: self-tuning", "submission_info.yml"),  # and its space stays
    "F104": code("authors: A. Author", "authors:  # here", "submission_info.yml"),
    "F105": code("framework: JAX", "framework: PyTorch  # here", "submission_info.yml"),
    "F106": code("    momentum, step = optimizer_state\n", "    momentum, step = = optimizer_state  # here\n"),
    "F107": top("import some_private_package  # here"),
    "F108": file("requirements.txt", "jax==0.4.1  # here\n"),
    "F109": renamed,
    "A201": code("def data_selection(", "def select_data("),
    "A202": code("_optimizer_state(workload, model_params,", "_optimizer_state(model_params, workload,"),
    "A203": file("submission.py", "import torch  # here\n\n\ndef update_params():\n    return torch.zeros(3)\n"),
    "A204": in_step("jax.pmap(lambda x: x, axis_name='batch')  # here"),
    "S301": space('{"learning_rate": '),
    "S302": space([POINT, {**POINT, "learning_rate": float("nan")}, *[POINT] * 3]),
    "S303": ranges(learning_rate={"min": 0.0, "max": 1e-2, "scaling": "log"}),
    "S304": both(ranges(**{"lambda": {"feasible_points": [1]}}), in_step("getattr(hyperparameters, 'lambda')")),
    "S305": both(ranges(imagenet_vit_rate={"feasible_points": [1]}), in_step("hyperparameters.imagenet_vit_rate")),
    "S306": space([POINT] * 3),
    "H401": code("point.learning_rate,", "point.step_size,"),  # H402 comes with it
    "H402": ranges(epsilon={"feasible_points": [1e-8]}),
    "H404": both(top("HPARAMS = {'epsilon': 1e-8}"), in_step("hasattr(HPARAMS, 'epsilon')  # here")),
    "H405": both(top("HPARAMS = {'epsilon': 1e-8}"), in_step("HPARAMS.epsilon  # here")),
    "R501": in_step("open(os.path.join(os.path.dirname(__file__), 'weights.npz'), 'rb')  # here", imports="import os"),
    "R502": in_step("np.load('/data/pretrained.npz')  # here", imports="import numpy as np"),
    "R503": in_step("fetch('http://example.org')  # here", imports="from urllib.request import urlopen as fetch"),
    "R504": in_step("threading.Thread(target=print).start()  # here", imports="import threading"),
    "R505": in_step("if 'wmt' in str(getattr(workload, 'name', '')):  # here", "    global_step += 1"),
    "R506": in_step("if workload.num_train_examples == 1281167:  # here", "    global_step += 1"),
    "R507": in_step("workload._build_input_queue(rng, 'validation', '/data', 32)  # here"),
    "R508": in_step("best = [r['test/accuracy'] for _, r in eval_results]  # here"),
    "R509": in_step("workload.eval_model(32, current_param_container, model_state, rng, '', '', 0)  # here"),
    "R510": in_step("workload.loss_fn = None  # here"),
    "R511": in_step("model = workload._model  # here"),
    "R512": in_step("model_state['batch_stats'] = {}  # here"),
    "R513": code("key, update_batch_norm=True,", "key, update_batch_norm=False,"),
    "R514": in_step("started = time.perf_counter()  # here", imports="import time"),
    "R515": in_step("noise = np.random.normal()  # here", imports="import numpy as np"),
    "R516": in_step("os.environ['XLA_FLAGS'] = '--xla_cpu_enable_fast_math'  # here", imports="import os"),
    "R517": in_step("jax.config.update('jax_default_matmul_precision', 'bfloat16')  # here"),
    "R519": in_step("ctypes.CDLL(None).getpid()  # here", imports="import ctypes"),
    "R518": both(top("CALLS = 0"), in_step("global CALLS", "CALLS += 1  # here")),
}  # fmt: skip
SELF_TUNING = {"F103", "H403"}
STATIC["H403"] = both(
    without("tuning_search_space.json"),
    code("ruleset: external", "ruleset: self-tuning", "submission_info.yml"),
)
# Codes that a breakage brings along because it is two faults.
COMPANIONS = {
    "F103": {"H403"},  # hyperparameters are None then
    "H401": {"H402"},  # the declared name that is no longer read
    "D606": {"D609"},  # what it costs
}

# code -> how to break it so that the dry run finds exactly this, where reading cannot.
DRY: dict[str, Break] = {
    "A205": code('raise ValueError(f"no batch size for {workload_name}")', "return SIZES[workload_name]  # here"),
    "D601": top("import functools_of_the_future as missing  # here"),
    "D602": in_step("raise RuntimeError('out of ideas')  # here"),
    "D603": code("p - rate * m,", "p - jnp.log(-rate) * m,"),
    "D604": both(
        code("    return momentum, functools.partial(", "    return momentum, 0, functools.partial("),
        code("    momentum, step = optimizer_state", "    momentum, _, step = optimizer_state"),
        code("    return (momentum, step), params", "    return (momentum, 0, step), params"),
    ),
    "D605": code("return (momentum, step), params, model_state",
                 "return (momentum, step), jax.tree.map(lambda p: p.astype(jnp.bfloat16), params), model_state"),
    "D606": code("return (momentum, step), params, model_state", "return (momentum, step), params, {}"),
    "D607": both(
        code("    momentum, step = optimizer_state\n", "    (momentum, _), step = optimizer_state\n"),
        code("    return momentum, functools.partial(", "    return (momentum, 0), functools.partial("),
        code("return (momentum, step), params, model_state",
             "return ((momentum, jnp.int32(global_step)), step), params, model_state"),
    ),
    "D608": both(
        top("NOISE = []"),
        in_step("NOISE.append(1)"),
        code("    return (momentum, step), params, model_state",
             "    params = jax.tree.map(lambda p: p + 1e-3 * len(NOISE), params)\n"
             "    return (momentum, step), params, model_state"),
    ),
    "D609": in_step("if global_step == 1:", "    jax.clear_caches()"),
    "D610": code("step(momentum, params, model_state, batch, rng)",
                 "jax.jit(lambda *a: step(*a))(momentum, params, model_state, batch, rng)"),
    "D611": in_step("import time", "time.sleep(0.1)"),
    "D612": code("    return (momentum, step), params, model_state",
                 "    return (momentum, step), current_param_container, model_state"),
    "D613": both(
        code("    return momentum, functools.partial(",
             "    return {'momentum': momentum, 'name': 'SGD'}, functools.partial("),
        code("    momentum, step = optimizer_state\n",
             "    momentum, step = optimizer_state[0]['momentum'], optimizer_state[1]\n"),
        code("return (momentum, step), params, model_state",
             "return ({'momentum': momentum, 'name': 'SGD'}, step), params, model_state"),
    ),
    "D614": code("p - rate * m,", "p + 0.0 * rate * m,"),
    "D615": code("    return next(input_queue)", "    return [next(input_queue)]"),
    "D616": in_step("import os", "os._exit(3)"),
    "D618": in_step("import os", "for n in range(3, 20):", "    try:", "        os.write(n, b'{}\\n')",
                    "    except OSError:", "        pass"),
    "D619": in_step("import sys", "for _ in range(20):", "    sys.stderr.write('x' * 1_000_000)"),
    "D617": both(file("requirements.txt", "some-private-package\n"), top("import some_private_package  # here")),
}  # fmt: skip
