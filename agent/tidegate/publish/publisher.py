"""Publishing, all in turn: look at repository and graph, plan, then do it or only tell.

To plan needs nothing that could write; who only wants to see what would be done stops there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tidegate.discovery.rollout import Rollout
from tidegate.publish import document, plan, staged_summary
from tidegate.publish.apply import Writer, alone, replace
from tidegate.publish.document import Document
from tidegate.publish.faults import failed, refused
from tidegate.publish.gpg import Signing, key_ids
from tidegate.publish.repository import Repository
from tidegate.publish.steps import RepositoryStep, Sight, Step, Wish, WriteGraph, repository_steps

Change = Callable[[Document], Document]
Told = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """A release to be published: ``commit`` (of ``ref`` unless named) of ``repo``, or of ``source`` and copied there.

    ``version`` is the commit's own unless given. ``delta_count``: from so many of the releases before there are to be
    deltas. The rest is as in :class:`~tidegate.publish.plan.NewRelease`.
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
    """What is to be done for the release ``version``, and the graph afterwards."""

    version: str
    graph: Document
    steps: tuple[Step, ...]


async def plan_release(asked: Asked) -> Planned:
    """What publishing comes to. Writes nothing.

    Raises:
        TidegateError: ``publish.refused``; ``publish.failed``; ``engine.*`` for the programs that are asked.
    """
    repo = Repository(asked.repo)
    await repo.check_it_can_be_served()
    _check_signed_as_before(repo, asked.signing)
    home, commit = await _find(repo, asked)
    await _check_ref(home, commit, asked.ref)
    version = asked.version or await _own_version(home, commit)
    before = read_graph(asked.graph)
    after = plan.with_release(before or document.empty(), _new(asked, version, commit))
    _check_payloads(after, repo, commit)
    steps = await _steps(repo, home, asked, after, version)
    return Planned(version, after, (*steps, *_graph_step(asked.graph, before, after)))


async def publish(asked: Asked, told: Told) -> Planned:
    """Publish a release; each step is ``told`` when it begins.

    Raises:
        TidegateError: as :func:`plan_release`; what hosts use is whole then, and publishing again completes it.
    """
    with alone(asked.repo, asked.graph.parent):
        planned = await plan_release(asked)
        writer = Writer(asked.repo, asked.signing.home)
        for step in planned.steps:
            told(step)
            await writer.do(step)
    return planned


def plan_change(graph: Path, change: Change) -> tuple[Document, tuple[WriteGraph, ...]]:
    """What ``change`` makes of the graph at ``graph``. Writes nothing.

    Raises:
        TidegateError: ``publish.refused``; ``publish.failed`` where there is no graph.
    """
    before = existing_graph(graph)
    after = change(before)
    return after, _graph_step(graph, before, after)


def make_change(graph: Path, change: Change) -> tuple[Document, tuple[WriteGraph, ...]]:
    """Change the graph at ``graph``; raises as :func:`plan_change`."""
    with alone(graph.parent):
        after, steps = plan_change(graph, change)
        for step in steps:
            replace(step.path, step.raw)
    return after, steps


def read_graph(path: Path) -> Document | None:
    """The graph at ``path``, None where there is no file.

    Raises:
        TidegateError: ``publish.refused`` for what hosts refuse; ``publish.failed``.
    """
    try:
        return document.read(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failed(f"{path} cannot be read: {error.strerror}", "check the path") from error


def existing_graph(path: Path) -> Document:
    """The graph at ``path``; raises as :func:`read_graph`, and where there is none."""
    found = read_graph(path)
    if found is None:
        raise failed(f"there is no graph at {path}", "`tidegate publish release` makes one")
    return found


def _graph_step(path: Path, before: Document | None, after: Document) -> tuple[WriteGraph, ...]:
    return () if before is not None and before.raw == after.raw else (WriteGraph(path, after.raw),)


def _new(asked: Asked, version: str, commit: str) -> plan.NewRelease:
    return plan.NewRelease(
        version, commit, asked.origins, asked.age_index, asked.rollout, asked.barrier, asked.rollback_floor
    )


def _check_signed_as_before(repo: Repository, signing: Signing) -> None:
    if repo.is_signed and not signing.keys:
        raise refused(
            f"{repo.path} is signed: hosts that insist on it could not pull what is not",
            f"sign with --gpg-sign KEY, or remove {repo.path / staged_summary.SIGNATURE} if no host verifies",
        )


async def _find(repo: Repository, asked: Asked) -> tuple[Repository, str]:
    """The commit to publish, and where it is whole: where it is to be published, if it is there already."""
    rev = asked.commit or asked.ref
    places = [repo] if asked.source is None else [Repository(asked.source), repo]
    found = [commit for place in places if (commit := await place.resolve(rev))]
    if not found:
        raise refused(f"{places[0].path} has no {rev}", "name a ref or a commit that it has: --ref, --commit")
    for place in reversed(places):
        if place.is_whole(found[0]):
            return place, found[0]
    raise refused(places[0].why_not_whole(found[0]), "commit or pull it anew: hosts could not get all of it")


async def _check_ref(home: Repository, commit: str, ref: str) -> None:
    bound = await home.refs_bound_to(commit)
    if bound and ref not in bound:
        raise refused(
            f"{commit} was committed for {', '.join(bound)}: hosts refuse to take it as {ref}",
            f"publish it as --ref {bound[0]}, or commit it with --bind-ref={ref}",
        )


async def _own_version(home: Repository, commit: str) -> str:
    version = await home.version_of(commit)
    if version is None:
        raise refused(f"{commit} names no version", "give one: --version, or `ostree commit --add-metadata-string`")
    return version


def _check_payloads(graph: Document, repo: Repository, arriving: str) -> None:
    """Every release that an edge leads to must be there, or arrive now."""
    for place in dict.fromkeys(graph.graph.targets):
        node = graph.graph.nodes[place]
        if node.payload != arriving and not repo.is_whole(node.payload):
            raise refused(
                f"edges lead to {node.version}, and {repo.why_not_whole(node.payload)}",
                f"bring it back, or `tidegate publish withdraw {node.version}`",
            )


async def _steps(
    repo: Repository, home: Repository, asked: Asked, graph: Document, version: str
) -> tuple[RepositoryStep, ...]:
    commit = graph.node(version).payload
    withdrawn = plan.WITHDRAWN_KEY in graph.node(version).metadata
    sources = (node.payload for node in plan.takers(graph, version) if repo.is_whole(node.payload))
    wish = Wish(
        source=home.path,
        keys=asked.signing.keys,
        origins=list(islice(sources, asked.delta_count)),
        ref=asked.ref if plan.is_newest(graph, version) and not withdrawn else None,
    )
    return repository_steps(await _see(repo, home, commit, asked), wish)


async def _see(repo: Repository, home: Repository, commit: str, asked: Asked) -> Sight:
    signers = await home.signers_of(commit)
    ids = {key: await key_ids(asked.signing, key) for key in asked.signing.keys}
    return Sight(
        commit=commit,
        has_commit=repo.is_whole(commit),
        signed_by=frozenset(key for key in asked.signing.keys if ids[key] & signers),
        deltas=await repo.deltas(),
        ref_at=await repo.resolve(asked.ref),
        summary_stands=await staged_summary.stands(asked.repo, asked.signing),
    )
