"""Every kind of fault that validation knows: one row per code.

A code's severity is fixed. `error`: AlgoPerf fails on it, or its rules forbid it. `warning`: it runs, but costs time,
loses results, or needs a word to the reviewers.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning"]


class Code(NamedTuple):
    """One kind of fault."""

    severity: Severity
    means: str  # what is wrong, for any submission
    remedy: str  # what to do about it


CODES: dict[str, Code] = {
    # ---- F: the folder ----
    "F101": Code(
        "error",
        "the folder has no submission.py",
        "put the submission's functions into submission.py, directly in the folder",
    ),
    "F102": Code(
        "error",
        "an external-tuning submission without tuning_search_space.json",
        "add tuning_search_space.json, a list of points or ranges, or validate with --ruleset self-tuning",
    ),
    "F103": Code(
        "warning",
        "a self-tuning submission with a tuning_search_space.json",
        "remove the file: under this ruleset AlgoPerf passes no hyperparameters and refuses a search space",
    ),
    "F104": Code(
        "warning",
        "submission_info.yml is missing, or lacks what the pull request must say",
        "add submission_info.yml with submission_name, submission_folder, authors and ruleset",
    ),
    "F105": Code(
        "warning",
        "submission_info.yml contradicts the folder or the ruleset that was validated",
        "make ruleset ('external' or 'self-tuning'), framework and submission_folder say what is meant",
    ),
    "F106": Code(
        "error",
        "a Python file that cannot be parsed",
        "correct the syntax; AlgoPerf runs Python 3.11 or newer",
    ),
    "F107": Code(
        "warning",
        "an import that neither AlgoPerf's environment, nor the folder, nor requirements.txt provides",
        "name the package in requirements.txt, or put the module into the folder",
    ),
    "F108": Code(
        "warning",
        "requirements.txt changes a package that the benchmark pins",
        "use the benchmark's version; if the idea needs another one, say why in the pull request",
    ),
    "F109": Code(
        "error",
        "the folder's name cannot be part of a Python module's name",
        "rename the folder: lower-case letters, digits and underscores; AlgoPerf imports it by its dotted path",
    ),
    # ---- A: the functions ----
    "A201": Code(
        "error",
        "a function of the submission API is missing",
        "define get_batch_size, init_optimizer_state, update_params and data_selection at the top level",
    ),
    "A202": Code(
        "error",
        "a function of the submission API has a signature that AlgoPerf cannot call",
        "take the parameters of AlgoPerf's template, by its names and in its order",
    ),
    "A203": Code(
        "error",
        "a PyTorch submission",
        "only JAX submissions can be run and validated here",
    ),
    "A204": Code(
        "warning",
        "written for AlgoPerf 0.5 (pmap, replicated parameters); 0.6 and later have no device axis",
        "use jax.jit with algoperf.jax_sharding_utils; parameters and batches have no leading device axis",
    ),
    "A205": Code(
        "error",
        "get_batch_size has no usable answer for a workload",
        "return a positive int for every base workload, and raise ValueError for names it does not know",
    ),
    # ---- S: the search space ----
    "S301": Code(
        "error",
        "tuning_search_space.json is not valid JSON, or neither a list of points nor an object of ranges",
        'write [{"learning_rate": 0.001, ...}, ...] or {"learning_rate": {"min": 1e-4, "max": 1e-2, "scaling": "log"}}',
    ),
    "S302": Code(
        "error",
        "a point that is unusable: not an object, other names than the first point, or a value that is not finite",
        "give every point the same names, each with a finite number, a string or a boolean",
    ),
    "S303": Code(
        "error",
        "a range that cannot be drawn from",
        'give "feasible_points": [...], or "min" < "max" (above 0 for log) with "scaling": "log" or "linear"',
    ),
    "S304": Code(
        "error",
        "a hyperparameter's name that cannot be a field of a namedtuple",
        "use a Python identifier that is no keyword and does not start with an underscore, and give it once",
    ),
    "S305": Code(
        "error",
        "the search space depends on the workload",
        "one space serves all workloads: remove what is named after one of them",
    ),
    "S306": Code(
        "warning",
        "the list does not have as many points as the external ruleset runs trials",
        "give 5 points: AlgoPerf runs the first 5 of a list, and fewer trials if it is shorter",
    ),
    # ---- H: hyperparameters ----
    "H401": Code(
        "error",
        "a hyperparameter is read that was not declared",
        "declare it in tuning_search_space.json, or read it with a default: getattr(hyperparameters, name, default)",
    ),
    "H402": Code(
        "warning",
        "a hyperparameter is declared that nothing reads",
        "read it or remove it: every trial that differs only in it is wasted",
    ),
    "H403": Code(
        "error",
        "hyperparameters is read under the self-tuning ruleset, where it is None",
        "use constants of the submission's own",
    ),
    "H404": Code(
        "warning",
        "hasattr or getattr on a dict never finds its keys",
        "write `name in settings` or settings.get(name, default)",
    ),
    "H405": Code(
        "error",
        "a key of a dict is read as an attribute, or a namedtuple is indexed by name",
        "write settings['name'] for a dict, hyperparameters.name for what AlgoPerf passes",
    ),
    # ---- R: the rules of the benchmark ----
    "R501": Code(
        "warning",
        "reads or writes a file",
        "keep to files in the submission's own folder, such as a learned optimizer's weights, and say so in the "
        "pull request; looking up results of earlier training is forbidden",
    ),
    "R502": Code(
        "error",
        "reads or writes a file outside the submission's folder",
        "remove it; a file the submission needs lies in its folder and is found from __file__",
    ),
    "R503": Code(
        "error",
        "uses the network",
        "remove it: a submission's only input is what AlgoPerf's functions are given",
    ),
    "R504": Code(
        "error",
        "starts a thread or another program",
        "remove it: computing beside the clock, or while it is paused, is forbidden",
    ),
    "R505": Code(
        "error",
        "behaves differently by the workload's name",
        "only get_batch_size may look at it; use parameter shapes and types, or the loss type, in generic ways",
    ),
    "R506": Code(
        "error",
        "identifies the workload by its class or by a number that fits no other",
        "decide by what a new workload would have too, such as the shapes and types of the parameters",
    ),
    "R507": Code(
        "error",
        "builds an input queue of its own, or calls the workload's private evaluation",
        "take batches from the input_queue that data_selection is given",
    ),
    "R508": Code(
        "error",
        "uses results on the test data",
        "decide by the training or validation results; the test split is for the report alone",
    ),
    "R509": Code(
        "warning",
        "evaluates the model itself, on the test split too",
        "use eval_results; an evaluation of one's own is on the clock, and its test numbers may not be used",
    ),
    "R510": Code(
        "error",
        "changes the workload, or a function of AlgoPerf or of a library",
        "wrap what is needed in a function of the submission; model, loss and libraries stay as they are",
    ),
    "R511": Code(
        "warning",
        "uses a private member of the workload",
        "use the public functions: private ones differ between workloads and versions",
    ),
    "R512": Code(
        "warning",
        "writes batch statistics of its own into the model's state",
        "pass on the state that model_fn returns; averages for evaluation belong into prepare_for_eval",
    ),
    "R513": Code(
        "warning",
        "no training pass updates the batch-norm statistics, or all are in evaluation mode",
        "call model_fn with ForwardPassMode.TRAIN and, once per step, update_batch_norm=True",
    ),
    "R514": Code(
        "warning",
        "reads the clock",
        "use train_state, which AlgoPerf passes to update_params when it is a parameter; other clocks count what "
        "AlgoPerf does not, and make runs differ",
    ),
    "R515": Code(
        "warning",
        "draws from a random generator that no seed of the run determines",
        "derive randomness from the rng argument, with jax.random",
    ),
    "R516": Code(
        "error",
        "sets environment variables",
        "remove it: the benchmark sets them, equally for all",
    ),
    "R517": Code(
        "warning",
        "changes JAX's global configuration",
        "remove it, or pass the setting to the function concerned, such as precision= of a product",
    ),
    "R518": Code(
        "warning",
        "keeps state in a module's global variable",
        "keep it in optimizer_state: globals are lost when a run resumes and leak into the next trial",
    ),
    "R519": Code(
        "error",
        "reaches into the process that runs it: native code, code under another name, exit handlers, signals, memory",
        "remove it: a submission is Python that calls JAX; anything else belongs into a package it requires",
    ),
    # ---- D: the dry run ----
    "D601": Code(
        "error",
        "the submission cannot be imported",
        "correct the error; if a package is missing, name it in requirements.txt and install it",
    ),
    "D602": Code(
        "error",
        "a function of the submission failed",
        "correct the error; the place is the last line of the submission's own code. JAX may have dropped what it "
        "uses: AlgoPerf pins a version of its own",
    ),
    "D603": Code(
        "error",
        "the parameters are not finite after a few steps",
        "guard divisions and roots where moments are 0; zero-sized steps and gradients of exactly 0 occur",
    ),
    "D604": Code(
        "error",
        "optimizer_state is not a pair (arrays, function)",
        "return (state, update_fn) from init_optimizer_state and everywhere: AlgoPerf's checkpoints unpack two",
    ),
    "D605": Code(
        "error",
        "the parameters returned have another structure, shape or type than those given",
        "return the same tree, with the same shapes and dtypes",
    ),
    "D606": Code(
        "warning",
        "the model's state returned has another structure than the one given",
        "return the state that was given where model_fn returns an empty one: None and {} differ to JAX, "
        "and the next step compiles again",
    ),
    "D607": Code(
        "warning",
        "the optimizer's state changes its structure, shapes or types from step to step",
        "initialise it with the types that the update returns, such as jnp.zeros((), jnp.int32) for a count",
    ),
    "D608": Code(
        "error",
        "two runs with one seed differ",
        "derive all randomness from rng, and keep nothing in globals, counters or sets",
    ),
    "D609": Code(
        "warning",
        "a step after the first compiles again",
        "give the compiled step arguments of unchanged structure, type and placement; most often the first state has "
        "to be put where the step returns it, by jax.device_put with jax_sharding_utils.get_replicate_sharding()",
    ),
    "D610": Code(
        "error",
        "every step compiles again",
        "pass what changes (global_step, hyperparameters) as an array, not as a static argument or a Python number "
        "in a closure, and do not build a new function to compile in every step",
    ),
    "D611": Code(
        "warning",
        "a step is many times slower than plain Adam's",
        "compile the whole step with jax.jit; leave no computation and no wait for the device in Python",
    ),
    "D612": Code(
        "error",
        "an array is used after it was donated",
        "return the new arrays, and do not donate (donate_argnums) what is used again, such as the batch's or rng's",
    ),
    "D613": Code(
        "error",
        "the optimizer's state holds something that a checkpoint cannot save",
        "keep arrays and numbers in optimizer_state[0]; functions belong into optimizer_state[1]",
    ),
    "D614": Code(
        "warning",
        "the parameters did not move",
        "check the learning rate's schedule, and that the new parameters are returned",
    ),
    "D615": Code(
        "error",
        "data_selection does not return a batch",
        "return a dict with the fields of next(input_queue), examples along the first axis",
    ),
    "D616": Code(
        "error",
        "the dry run ended without an answer",
        "run it alone on the workload named; memory, a crash in native code, or an endless loop are usual causes",
    ),
    "D617": Code(
        "warning",
        "the dry run lacks a package that AlgoPerf's environment or requirements.txt provides",
        "install the package here and validate again; nothing of the submission was run",
    ),
    "D618": Code(
        "error",
        "the answers of the dry run are not all its own",
        "remove what writes to descriptors that the submission did not open",
    ),
    "D619": Code(
        "error",
        "the dry run uses more memory, processes or output than it may",
        "start no processes, print little, and keep to a few copies of the parameters",
    ),
}

FAMILIES = {
    "F": "the folder",
    "A": "the functions",
    "S": "the search space",
    "H": "hyperparameters",
    "R": "the rules of the benchmark",
    "D": "the dry run",
}
