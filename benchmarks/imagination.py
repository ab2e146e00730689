"""What generative models imagine: is it one arm, is it everywhere, is it in the colours of the scene at hand?

    python benchmarks/imagination.py

Plain scene: a beta-VAE, the same calibrated by actions (what `rig train` uses), and a decoder with the K-best loss
learn from the same exploration images. A small network that was taught the tool's position on real images reads what
is imagined. An image shows one arm if it is near a real one whose tool is within 15 mm of where it was read: no
farther (RMS over all pixels) than 99 % of the beta-VAE's reconstructions of unseen images are. Real images pass,
averages of two real images (two arms, half there) do not: their shares are printed as a check. Samples that show one
arm count for coverage (2.5 cm cells of the workspace with a sample) and duplicates (samples within 2 mm of another).

Scene of changing colours: VAE and conditional VAE learn from the same images and imagine goals in scenes that they
never met. Colours are compared with a render of that scene with the tool where it was read, where no arm hides the
table.

Writes docs/pictures/imagination.png and conditional.png into --out. The last line is one JSON object.
"""

import dataclasses
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import nn

import rig_sim  # noqa: F401  (registers the environments)
from rig_robot.common.output_paths import check_folder
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.baselines.k_best import Generator, KBestTrainer
from rig_robot.learning.methods import preset
from rig_robot.learning.representations import make
from rig_robot.learning.representations.latent import Latent
from rig_robot.learning.rig import HELD_OUT_SEEDS, explore
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.rl.replay_buffer import ReplayBuffer
from rig_robot.learning.vae.vae import Vae, to_images, to_pixels
from rig_robot.learning.vae.vae_trainer import one_cycle, reparametrise

HORIZON = 50
CELL, NEAR, SAME = 0.025, 0.015, 0.002
BOX = ActionBox.of("xy", (0.45, -0.2, 0.15), (0.75, 0.2, 0.15), 0.02)
"""Side of a cell of the workspace; how far a real image to compare with may be; when two samples are the same [m]"""
Results = dict[str, Any]


@dataclass
class Args:
    quick: bool = False
    """A tenth of everything, to see that it runs."""
    steps: int = 5_000
    """Random steps that give the images, in each of the two scenes."""
    samples: int = 1_000
    """Imagined images of each model."""
    scenes: int = 20
    """Unseen scenes of other colours, with 20 imagined goals each."""
    k: int = 128
    """Samples of which the best one learns."""
    seed: int = 0
    """Seed of everything."""
    out: Path = Path("docs/pictures")
    """Directory of the pictures."""


class Reader(nn.Module):
    """Reads the tool's position (x, y) [m] off an image; taught on real ones."""

    def __init__(self, images: np.ndarray, positions: np.ndarray, updates: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.centre, self.scale = (
            torch.tensor(f(axis=0), dtype=torch.float32) for f in (positions.mean, positions.std)
        )
        # The VAE's encoder has the right shape: two numbers a coordinate, of which the first is taken.
        self.network = Vae(images.shape[1], positions.shape[1])
        optimiser = torch.optim.Adam(self.parameters(), fused=True)
        wanted = (torch.from_numpy(positions).float() - self.centre) / self.scale
        for step in range(updates):
            chosen = rng.integers(len(images), size=128)
            optimiser.param_groups[0]["lr"] = 2e-3 * one_cycle(step / updates)
            error = (self.network.encode(to_pixels(images[chosen]))[0] - wanted[chosen]).square().mean()
            optimiser.zero_grad()
            error.backward()
            optimiser.step()

    @torch.inference_mode()
    def read(self, images: np.ndarray) -> np.ndarray:
        """uint8 [N, S, S, 3] -> float64 [N, 2]."""
        return (self.network.encode(to_pixels(images))[0] * self.scale + self.centre).numpy().astype(np.float64)


def main(args: Args) -> None:
    check_folder("out", args.out)
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if args.quick:
        args = dataclasses.replace(args, steps=1_000, samples=200, scenes=3)
    began, cpu = time.perf_counter(), time.process_time()
    results = {"plain": plain(args), "colours": colours(args)}
    print(f"{time.perf_counter() - began:.0f} s, of the processor {time.process_time() - cpu:.0f} s")
    print(json.dumps(results))


def collect(env: gymnasium.Env, steps: int, seed: int) -> ReplayBuffer:
    """Random episodes, as in line 1 of Algorithm 1."""
    episodes = steps // HORIZON
    capacity = episodes * (HORIZON + 1)
    world: Any = env.unwrapped
    images = np.zeros((capacity, world.image_size, world.image_size, 3), np.uint8)
    replay = ReplayBuffer(capacity, 4, 2, images)
    for episode in range(episodes):
        explore(env, replay, 10, HORIZON, np.random.default_rng((seed, episode)))
    return replay


def trained(args: Args, replay: ReplayBuffer, **changes: Any) -> tuple[Latent, Prior]:
    """A VAE by the recipe of `rig train`, and the Gaussian that fits what it makes of its images."""
    if args.quick:
        changes["vae_updates"] = 400
    torch.manual_seed(args.seed)
    vae = make(preset("rig-vae", out=Path(tempfile.gettempdir()), **changes), BOX)
    assert isinstance(vae, Latent)
    for unit in range(vae.units):
        log = vae.fit(replay, unit, np.random.default_rng((args.seed, 1, unit)))
    print("  " + ", ".join(f"{name} {value:.1f}" for name, value in log.items()))
    return vae, Prior.fit(vae.encode_all(replay))


class NearestReal:
    """Compares imagined pictures with real ones of an arm that stands where the imagined one is read."""

    def __init__(self, reader: Reader, pictures: np.ndarray, places: np.ndarray) -> None:
        """reader: tells places; pictures: uint8 [N, S, S, 3], real ones of known places, float64 [N, 2] [m]."""
        self.reader, self.places = reader, places
        self._pictures = pictures.reshape(len(places), -1).astype(np.float32)

    def distances(self, imagined: np.ndarray) -> np.ndarray:
        """Return how far each is from the nearest such picture, RMS [grey levels]; inf: read outside."""
        read, best = self.reader.read(imagined), np.full(len(imagined), np.inf)
        for i, (image, place) in enumerate(zip(imagined, read, strict=True)):
            near = np.linalg.norm(self.places - place, axis=1) < NEAR
            if near.any():
                best[i] = np.sqrt(((self._pictures[near] - image.reshape(-1)) ** 2).mean(axis=1).min())
        return best


def drawn(latents: np.ndarray, model: Latent | Generator) -> np.ndarray:
    """Return the pictures that a model decodes from latents, float32 [N, L]: uint8 [N, S, S, 3]."""
    with torch.inference_mode():
        return to_images((model.vae if isinstance(model, Latent) else model).decode(torch.from_numpy(latents)))


def two_arms(real: np.ndarray, places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return averages of two real pictures each, whose arms are apart: what must not pass for one arm."""
    pairs = rng.permutation(len(places)).reshape(2, -1)
    pairs = pairs[:, np.linalg.norm(places[pairs[0]] - places[pairs[1]], axis=1) > 0.06]
    return ((real[pairs[0]].astype(np.uint16) + real[pairs[1]]) // 2).astype(np.uint8)


def plain(args: Args) -> Results:
    """Samples of the beta-VAE's prior and of the K-best decoder, read."""
    env = gymnasium.make("RigSawyerReachXY-v0", action_delay=(0.02, 0.09))
    world: Any = env.unwrapped
    rng = np.random.default_rng((args.seed, 2))
    low, high = world.workspace_low[:2], world.workspace_high[:2]
    replay = collect(env, args.steps, args.seed)
    places = rng.uniform(low, high, (4 * args.samples, 2))
    real = np.stack([world.render_goal(place) for place in places])
    env.close()

    seen, unseen = slice(args.samples, None), slice(0, args.samples)  # `unseen` are only ever read
    images, positions = replay.images[: replay.size], replay.states[: replay.size, :2].astype(np.float64)
    taught = np.concatenate((images, real[seen])), np.concatenate((positions, places[seen]))
    reader = Reader(*taught, 300 if args.quick else 1000, rng)
    print(f"plain scene, {len(images)} images")
    report("reader, unseen real images", np.linalg.norm(reader.read(real[unseen]) - places[unseen], axis=1))

    print("beta-VAE:")
    vae, prior = trained(args, replay, calibration=0.0)
    print("the same, calibrated by actions:")
    calibrated, calibrated_prior = trained(args, replay)
    print(f"K-best, k = {args.k}:")
    generator = train_k_best(args, images, vae.units * 25)

    standard = rng.standard_normal((args.samples, 4), dtype=np.float32)
    with torch.inference_mode():
        reconstructed = drawn(vae.vae.encode(to_pixels(real[unseen]))[0].numpy(), vae)
        # Samples of q(z), the mixture of all the encoder's Gaussians: what no prior can be better than.
        some = to_pixels(images[rng.integers(len(images), size=args.samples)])
        posteriors = reparametrise(*vae.vae.encode(some), torch.from_numpy(standard)).numpy()
    report("reader, their reconstructions", np.linalg.norm(reader.read(reconstructed) - places[unseen], axis=1))

    nearest = NearestReal(reader, real[seen], places[seen])
    limit = float(np.quantile(nearest.distances(reconstructed), 0.99))
    models = {
        "two_arms": two_arms(real[unseen], places[unseen], rng),
        "real": real[unseen],
        "explored": images[rng.integers(len(images), size=args.samples)],
        "vae": drawn(prior.sample(rng, args.samples), vae),
        "vae_standard_normal": drawn(standard, vae),
        "vae_posteriors": drawn(posteriors, vae),
        "vae_calibrated": drawn(calibrated_prior.sample(rng, args.samples), calibrated),
        "k_best": drawn(standard, generator),
    }
    expected = spread(rng.uniform(low, high, (args.samples, 2)), low, high)
    results, points = read_models(models, nearest, limit, low, high)
    results["uniform"] = expected
    print("  (uniform points: " + ", ".join(f"{key} {value}" for key, value in expected.items()) + ")")
    picture_imagination(args.out / "imagination.png", models, points, low, high)
    return results


def read_models(
    models: dict[str, np.ndarray], nearest: NearestReal, limit: float, low: np.ndarray, high: np.ndarray
) -> tuple[Results, dict[str, np.ndarray]]:
    """Read what each model imagined, print it, and return its figures and where its single arms are."""
    print(f"an image shows one arm up to {limit:.1f} grey levels RMS from a real one")
    results: Results = {"limit_rms": round(limit, 2)}
    points = {}
    for name, imagined in models.items():
        one = nearest.distances(imagined) <= limit
        points[name] = nearest.reader.read(imagined[one]) if one.any() else np.empty((0, 2))
        figures = {"one_arm": round(float(one.mean()), 3)} | spread(points[name], low, high)
        results[name] = figures
        print(f"  {name}: " + ", ".join(f"{key} {value}" for key, value in figures.items()))
    return results, points


def train_k_best(args: Args, images: np.ndarray, updates: int) -> Generator:
    torch.manual_seed(args.seed)
    generator = Generator(images.shape[1], 4, (8, 16, 32))
    generator.mean_image.copy_(torch.from_numpy(images.mean(axis=0, dtype=np.float64) / 255).permute(2, 0, 1))
    trainer, rng = KBestTrainer(generator, args.k), np.random.default_rng((args.seed, 3))
    for step in range(updates):
        log = trainer.update(images[rng.integers(len(images), size=128)], 1e-3 * one_cycle(step / updates), rng)
    print("  " + ", ".join(f"{name} {float(value):.1f}" for name, value in log.items()))
    return generator


def spread(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> Results:
    """Coverage and duplicates of points [N, 2] (m)."""
    cells = np.round((high - low) / CELL).astype(int)
    inside = points[((points >= low) & (points < high)).all(axis=1)]
    hit = len(np.unique(((inside - low) / CELL).astype(int), axis=0))
    apart = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag(np.full(len(points), np.inf))
    same = float((apart.min(axis=1) < SAME).mean()) if len(points) > 1 else 0.0
    return {"coverage": round(hit / cells.prod(), 3), "duplicates": round(same, 3)}


def colours(args: Args) -> Results:
    """Goals imagined in unseen scenes: are they in the scene's colours?"""
    env = gymnasium.make("RigSawyerReachXY-v0", action_delay=(0.02, 0.09), scene="colours")
    world: Any = env.unwrapped
    rng = np.random.default_rng((args.seed, 4))
    low, high = world.workspace_low[:2], world.workspace_high[:2]
    replay = collect(env, args.steps, args.seed)
    positions = replay.states[: replay.size, :2].astype(np.float64)
    reader = Reader(replay.images[: replay.size], positions, 300 if args.quick else 1000, rng)
    print(f"scene of changing colours, {replay.size} images")
    models = {}
    for name, representation in (("vae", "latent"), ("conditional", "conditional")):
        print(f"{name}:")
        models[name] = trained(args, replay, representation=representation, calibration=0.0)

    scenes = []  # of each: context, bare scene, what is imagined by each model
    errors: dict[str, dict[str, list[float]]] = {name: {"table": [], "distractor": [], "all": []} for name in models}
    missed = []
    grid = np.stack(np.meshgrid(*np.linspace(low, high, 5).T), axis=-1).reshape(-1, 2)
    table = table_pixels(env, grid)
    for number in range(args.scenes):
        context = env.reset(seed=HELD_OUT_SEEDS + number)[0]["image"]
        renders = np.stack([world.render_goal(place) for place in grid])
        missed += list(np.linalg.norm(reader.read(renders) - grid, axis=1))
        bare = np.median(renders, axis=0)  # most arms leave a pixel free
        colour = np.median(bare[table], axis=0)
        things = table & (np.abs(bare - colour).max(axis=2) > 60)
        kinds = {"table": table & ~things, "distractor": things}
        imagined = {}
        for name, (vae, prior) in models.items():
            contexts = np.repeat(context[None], 20, axis=0)
            imagined[name] = vae.decode(prior.sample(rng, 20), contexts)
            places = np.clip(reader.read(imagined[name]), low, high)
            for image, place in zip(imagined[name], places, strict=True):
                truth = world.render_goal(place).astype(float)
                off = np.abs(image - truth).mean(axis=2)
                free = np.abs(truth - bare).max(axis=2) < 6  # no arm there
                for kind, mask in kinds.items():
                    if (free & mask).any():
                        errors[name][kind].append(float(off[free & mask].mean()))
                errors[name]["all"].append(float(np.sqrt(((image - truth) ** 2).mean())))
        scenes.append((context, imagined))
    env.close()
    report("reader, real images of unseen scenes", np.array(missed))
    results: Results = {}
    for name, found in errors.items():
        results[name] = {f"{kind}_grey_levels": round(float(np.mean(values)), 2) for kind, values in found.items()}
        print(f"  {name}: off by " + ", ".join(f"{key} {value}" for key, value in results[name].items()))
    picture_conditional(args.out / "conditional.png", scenes[:6])
    return results


def table_pixels(env: gymnasium.Env, grid: np.ndarray) -> np.ndarray:
    """Pixels whose colour differs between scenes, wherever the arm is: bool [S, S]."""
    world: Any = env.unwrapped
    scenes = []
    for number in range(5):
        env.reset(seed=number)
        scenes.append(np.median([world.render_goal(place) for place in grid], axis=0))
    return np.ptp(np.stack(scenes), axis=0).max(axis=2) > 20


def report(what: str, errors: np.ndarray) -> None:
    """errors: [m]."""
    print(f"  {what}: off by {1000 * errors.mean():.1f} mm, 90th percentile {1000 * np.quantile(errors, 0.9):.1f} mm")


def picture_imagination(
    path: Path, models: dict[str, np.ndarray], points: dict[str, np.ndarray], low: np.ndarray, high: np.ndarray
) -> None:
    """Samples of each model, above where those that show one arm were read."""
    titles = {"vae": "beta-VAE", "vae_calibrated": "beta-VAE, calibrated", "k_best": "K-best"}
    figure = Figure(figsize=(12, 7.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.05))
    for part, panel, name in zip(above.subfigures(1, 3), below.subfigures(1, 3), titles, strict=True):
        part.suptitle(f"{titles[name]}: decoded samples")
        for axes, image in zip(part.subplots(5, 6).flat, models[name], strict=False):
            show(axes, image)
        axes = panel.subplots()
        axes.plot(points[name][:, 1], points[name][:, 0], ".", markersize=3)
        axes.add_patch(Rectangle(low[::-1], *(high - low)[::-1], fill=False))
        axes.set(xlabel="y [m]", ylabel="x [m]", title="where they were read (box: workspace)", aspect="equal")
        axes.set(xlim=(low[1] - 0.03, high[1] + 0.03), ylim=(low[0] - 0.03, high[0] + 0.03))
    figure.savefig(path, dpi=90)
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(128)  # colours: a third of the size
    few.save(path, optimize=True)


def picture_conditional(path: Path, scenes: list[tuple[np.ndarray, dict[str, np.ndarray]]]) -> None:
    """Contexts, and beside each what the models imagine there."""
    figure = Figure(figsize=(11, 1.05 * len(scenes) + 0.6), layout="constrained")
    grid = figure.subplots(len(scenes), 11, squeeze=False, width_ratios=[1.1, *[1] * 10])
    for row, (context, imagined) in zip(grid, scenes, strict=True):
        pictures = [context, *imagined["conditional"][:5], *imagined["vae"][:5]]
        for axes, image in zip(row, pictures, strict=True):
            show(axes, image)
    for column, title in ((0, "scene"), (3, "imagined by the conditional VAE"), (8, "imagined by the VAE")):
        grid[0][column].set_title(title, fontsize=11)
    figure.savefig(path, dpi=72)


def show(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[])


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
