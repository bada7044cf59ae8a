"""The browser protocol (RTVI 2.1.0) on the data channel: what the page says, what it is told.

Source: the official clients' own code, `@pipecat-ai/client-js` 1.13 and `@pipecat-ai/small-webrtc-transport` 1.10.
"""
