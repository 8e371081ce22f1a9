# SPDX-License-Identifier: BSD-2-Clause
"""video_chain - bugs that pictures show on the way from camera to scaler to display"""

BOUNCE = "dma/bounce.c"
STREAM = "dma/stream.c"
USER = "video/user.c"
FILMS = ["unit/test_simvideo"]

MUTANTS = [
    ("a picture is not copied back", STREAM,
     "        place->bounce->ops->copy(place->bounce, place->paddr, place->last - place->daddr + 1, true);\n",
     "", FILMS),
    ("it is copied back before the caches are told", STREAM,
     "    if (!cma__device_snoops(device)) {\n"
     "        stream_maintain(device, place->daddr, place->last, true);\n    }\n"
     "    if (place->bounce != NULL) {\n"
     "        place->bounce->ops->copy(place->bounce, place->paddr, place->last - place->daddr + 1, true);\n    }\n",
     "    if (place->bounce != NULL) {\n"
     "        place->bounce->ops->copy(place->bounce, place->paddr, place->last - place->daddr + 1, true);\n    }\n"
     "    if (!cma__device_snoops(device)) {\n"
     "        stream_maintain(device, place->daddr, place->last, true);\n    }\n", FILMS),
    ("its last byte is not copied back", BOUNCE,
     "        port->copy(port->ctx, paddr, bounced, nbytes);\n",
     "        port->copy(port->ctx, paddr, bounced, nbytes - 1);\n", FILMS),
    ("its last byte is not copied in", BOUNCE,
     "        port->copy(port->ctx, bounced, paddr, nbytes);\n",
     "        port->copy(port->ctx, bounced, paddr, nbytes - 1);\n", FILMS),
    ("a picture is not copied in", STREAM,
     "    if (bounce != NULL && direction != CMA_FROM_DEVICE) {\n"
     "        bounce->ops->copy(bounce, place.paddr, nbytes, false);\n    }\n", "", FILMS),
    ("it is copied in behind the clean", STREAM,
     "        bounce->ops->copy(bounce, place.paddr, nbytes, false);\n    }\n"
     "    cma__stream_clean(device, daddr, nbytes);\n",
     "        cma__stream_clean(device, daddr, nbytes);\n"
     "        bounce->ops->copy(bounce, place.paddr, nbytes, false);\n    } else {\n"
     "        cma__stream_clean(device, daddr, nbytes);\n    }\n", FILMS),
    ("for devices that snoop nothing is copied back", STREAM,
     "        place->bounce->ops->copy(place->bounce, place->paddr, place->last - place->daddr + 1, true);\n",
     "        if (!cma__device_snoops(device)) {\n"
     "            place->bounce->ops->copy(place->bounce, place->paddr, place->last - place->daddr + 1, true);\n"
     "        }\n", FILMS),
    ("a bounced buffer's address is the memory's", STREAM,
     "    if (cma_device_to_bus(device, bounced, request->nbytes, device->config.mask, daddr) != 0) {\n",
     "    if ((*daddr = bounced) == 0) {\n", FILMS),
    ("the program's pages are not bounced where nothing reaches them", USER,
     "        if (!walk->bounced || (plane->npieces != 0 && !follows)) {\n",
     "        if (plane->npieces == 0 || !walk->bounced || !follows) {\n", FILMS),
    ("lines that are shared are not bounced", STREAM,
     "    } else if (stream_shares_lines(device, request)) {\n",
     "    } else if (stream_shares_lines(device, request) && 0) {\n", FILMS),
]
