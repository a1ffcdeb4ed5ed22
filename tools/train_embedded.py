"""Train the embedded model from scratch: `train_embedded.py {vae,latents,unet,decoder,export} --work FOLDER`.

Run the stages in this order (`export` only writes the file again, from the last saved states); then
`train_embedded.py webui --webui FOLDER` puts the result into an AUTOMATIC1111 WebUI. Each stage is seeded and
resumable: start it again and it goes on from its last saved state. The training pictures are drawn here too
(`embedded_world`). docs/embedded-model.md is the model's card.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from embedded.configs import write_configs
from embedded.decoder_stage import DecoderSettings, finish_decoder
from embedded.export import export
from embedded.latent_stage import make_latents
from embedded.unet_stage import Denoiser, UnetSettings, train_unet
from embedded.vae_stage import VaeSettings, train_vae
from embedded.webui import install

FOLDER = Path(__file__).parents[1] / "lib" / "prompt_pins" / "headless" / "embedded"
NAME = "prompt-pins-embedded.safetensors"

log = logging.getLogger(__name__)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("vae", "latents", "unet", "decoder", "export", "webui"))
    parser.add_argument("--work", type=Path, default=Path("build/embedded"), help="folder for training states")
    parser.add_argument("--webui", type=Path, help="the WebUI's folder, for the stage `webui`")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the exported model")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=20000, help="training pictures of the UNet")
    parser.add_argument("--steps", type=int, default=UnetSettings.steps, help="training steps of the UNet")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's default")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--fast", action="store_true", help="compute in bfloat16 where that is safe")
    arguments = parser.parse_args()
    if arguments.stage == "webui" and arguments.webui is None:
        parser.error("stage webui: expected --webui, the WebUI's folder")
    return arguments


def run_later_stages(arguments: argparse.Namespace, device: torch.device) -> None:
    """Every stage after `vae`: read what the others have made, train this one, export at every save of the UNet."""
    stage, shared = arguments.stage, (arguments.seed, arguments.work, device, arguments.fast)
    vae = train_vae(VaeSettings(), *shared)
    latents = make_latents(vae, arguments.seed, arguments.pictures, arguments.work, arguments.fast)
    if stage == "latents":
        return
    finish_decoder(vae, DecoderSettings() if stage == "decoder" else DecoderSettings(steps=0), latents, *shared)

    def saved(average: Denoiser) -> None:
        log.info("exported %d bytes", export(average.text, average.unet, vae, arguments.out / NAME))

    settings = UnetSettings(steps=arguments.steps if stage == "unet" else 0)
    saved(train_unet(settings, latents, *shared, saved))
    write_configs(arguments.out)


def main() -> None:
    arguments = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    if arguments.stage == "webui":
        log.info("installed %s", install(arguments.out, NAME, arguments.webui))
    elif arguments.stage == "vae":
        train_vae(VaeSettings(), arguments.seed, arguments.work, device, arguments.fast)
    else:
        run_later_stages(arguments, device)


if __name__ == "__main__":
    main()
