"""The gateway's media path, on the level of RTP packets: no thread hop, no jitter buffer, no needless copy.

A word of the caller's goes `hook` (an aiortc receiver's packets) → `receive` (order, losses, numbering) → 16 kHz
frames for NATS. The bot's voice goes `playout` (a queue of 24 kHz PCM that can fade, hold and cut) → `track` (the pace
of one packet every 20 ms) → an aiortc sender. `opus` is the codec under both, `reports` the RTCP statistics, `sdp` what
offers must look like and what the answer adds, `compat` the guard for what is used of aiortc's inside.

`receive` and `playout` are pure: no I/O, no clock, no event loop.
"""
