"""Publish a release or change a graph: read repository and graph, plan the steps, apply them.

Planning cannot write anything, so a dry run ends there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tidegate.discovery.graph_keys import MAX_GRAPH_BYTES
from tidegate.discovery.rollout import Rollout
from tidegate.publish import document, plan, staged_summary
from tidegate.publish.apply import Writer, locked, replace
from tidegate.publish.document import Document
from tidegate.publish.faults import failed, refused
from tidegate.publish.gpg import Signing, key_ids
from tidegate.publish.repository import Repository
from tidegate.publish.steps import Desired, RepositoryState, RepositoryStep, Step, WriteGraph, repository_steps
from tidegate.system import regular_file

Change = Callable[[Document], Document]
OnStep = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Request:
    """A request to publish ``commit``, by default that of ``ref``, of ``repo``, or of ``source`` to copy from there.

    ``version`` None: that of the commit's metadata. ``delta_count``: the number of preceding releases to make deltas
    from. The other fields are those of :class:`~tidegate.publish.plan.NewRelease`.
    """

    repo: Path
    ref: str
    graph: Path
    signing: Signing
    source: Path | None = None
    commit: str | None = None
    version: str | None = None
    delta_count: int = 0
    origins: plan.Origins = plan.ALL
    age_index: int | None = None
    rollout: Rollout | None = None
    barrier: bool = False
    rollback_floor: str | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """The steps that publish the release ``version``, and the graph after them."""

    version: str
    graph: Document
    steps: tuple[Step, ...]


async def plan_release(request: Request) -> Planned:
    """Plan the publication of a release. Writes nothing.

    Raises:
        TidegateError: ``publish.refused``; ``publish.failed``; ``engine.*``, if ostree or gpg cannot be run.
    """
    repo = Repository(request.repo)
    await repo.check_servable()
    _check_signed_as_before(repo, request.signing)
    home, commit = await _find(repo, request)
    await _check_ref(home, commit, request.ref)
    version = request.version or await _own_version(home, commit)
    before = read_graph(request.graph)
    after = plan.with_release(before or document.empty(), _new(request, version, commit))
    _check_payloads(after, repo, commit)
    steps = await _steps(repo, home, request, after, version)
    return Planned(version, after, (*steps, *_graph_step(request.graph, before, after)))


async def publish(request: Request, on_step: OnStep) -> Planned:
    """Publish a release; ``on_step`` is called before each step.

    Raises:
        TidegateError: as :func:`plan_release`; what hosts find is consistent then, and publishing again completes it.
    """
    with locked(request.repo, request.graph.parent):
        planned = await plan_release(request)
        writer = Writer(request.repo, request.signing.home)
        for step in planned.steps:
            on_step(step)
            await writer.do(step)
    return planned


def plan_change(graph: Path, change: Change) -> tuple[Document, tuple[WriteGraph, ...]]:
    """Apply ``change`` to the graph at ``graph`` in memory; returns the result and the step that writes it.

    Raises:
        TidegateError: ``publish.refused``; ``publish.failed``, if there is no graph.
    """
    before = existing_graph(graph)
    after = change(before)
    return after, _graph_step(graph, before, after)


def make_change(graph: Path, change: Change) -> tuple[Document, tuple[WriteGraph, ...]]:
    """Apply ``change`` to the graph at ``graph`` and write it; raises as :func:`plan_change`."""
    with locked(graph.parent):
        after, steps = plan_change(graph, change)
        for step in steps:
            replace(step.path, step.raw)
    return after, steps


def read_graph(path: Path) -> Document | None:
    """The graph at ``path``; None if there is no file.

    Raises:
        TidegateError: ``publish.refused``, if hosts would reject it; ``publish.failed``.
    """
    try:
        return document.read(regular_file.read(path, MAX_GRAPH_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failed(f"{path} cannot be read: {error.strerror}", "check the path") from error


def existing_graph(path: Path) -> Document:
    """The graph at ``path``; raises as :func:`read_graph`, and if there is no file."""
    found = read_graph(path)
    if found is None:
        raise failed(f"there is no graph at {path}", "`tidegate publish release` creates it")
    return found


def _graph_step(path: Path, before: Document | None, after: Document) -> tuple[WriteGraph, ...]:
    return () if before is not None and before.raw == after.raw else (WriteGraph(path, after.raw),)


def _new(request: Request, version: str, commit: str) -> plan.NewRelease:
    return plan.NewRelease(
        version, commit, request.origins, request.age_index, request.rollout, request.barrier, request.rollback_floor
    )


def _check_signed_as_before(repo: Repository, signing: Signing) -> None:
    if repo.is_signed and not signing.keys:
        raise refused(
            f"the summary of {repo.path} is signed: hosts that require it could not pull an unsigned one",
            f"sign with --gpg-sign KEY, or remove {repo.path / staged_summary.SIGNATURE} if no host verifies it",
        )


async def _find(repo: Repository, request: Request) -> tuple[Repository, str]:
    """The commit to publish, and a repository with all of it: the published one, if it is complete there."""
    rev = request.commit or request.ref
    places = [repo] if request.source is None else [Repository(request.source), repo]
    found = [commit for place in places if (commit := await place.resolve(rev))]
    if not found:
        raise refused(f"{places[0].path} has no {rev}", "name an existing ref or commit: --ref, --commit")
    for place in reversed(places):
        if place.is_whole(found[0]):
            return place, found[0]
    raise refused(places[0].why_not_whole(found[0]), "commit or pull it again: hosts could not pull all of it")


async def _check_ref(home: Repository, commit: str, ref: str) -> None:
    bound = await home.refs_bound_to(commit)
    if bound and ref not in bound:
        raise refused(
            f"{commit} is bound to {', '.join(bound)}: hosts refuse to pull it as {ref}",
            f"publish it as --ref {bound[0]}, or commit it with --bind-ref={ref}",
        )


async def _own_version(home: Repository, commit: str) -> str:
    version = await home.version_of(commit)
    if version is None:
        raise refused(
            f"{commit} has no version in its metadata", "use --version, or `ostree commit --add-metadata-string`"
        )
    return version


def _check_payloads(graph: Document, repo: Repository, arriving: str) -> None:
    """Check that every release with an edge to it is in the repository, or is being published."""
    for place in dict.fromkeys(graph.graph.targets):
        node = graph.graph.nodes[place]
        if node.payload != arriving and not repo.is_whole(node.payload):
            raise refused(
                f"edges lead to {node.version}, but {repo.why_not_whole(node.payload)}",
                f"restore it, or `tidegate publish withdraw {node.version}`",
            )


async def _steps(
    repo: Repository, home: Repository, request: Request, graph: Document, version: str
) -> tuple[RepositoryStep, ...]:
    commit = graph.node(version).payload
    withdrawn = plan.WITHDRAWN_KEY in graph.node(version).metadata
    sources = (node.payload for node in plan.direct_sources(graph, version) if repo.is_whole(node.payload))
    desired = Desired(
        source=home.path,
        keys=request.signing.keys,
        origins=list(islice(sources, request.delta_count)),
        ref=request.ref if plan.is_newest(graph, version) and not withdrawn else None,
    )
    return repository_steps(await _read_state(repo, home, commit, request), desired)


async def _read_state(repo: Repository, home: Repository, commit: str, request: Request) -> RepositoryState:
    signers = await home.signers_of(commit)
    ids = {key: await key_ids(request.signing, key) for key in request.signing.keys}
    return RepositoryState(
        commit=commit,
        has_commit=repo.is_whole(commit),
        signed_by=frozenset(key for key in request.signing.keys if ids[key] & signers),
        deltas=await repo.deltas(),
        ref_at=await repo.resolve(request.ref),
        summary_current=await staged_summary.is_current(request.repo, request.signing),
    )
