/**
 * Runs in a page before its own scripts and notes what passes through the browser, whatever the page does with it:
 * when the microphone and the bot are loud, the bot's voice as it was received, each message of the data channel, and the
 * peer connections themselves.
 *
 * All times are `performance.now()`, ms.
 */
(() => {
  /** As in natter-bench: what is above it is heard. */
  const AUDIBLE_DBFS = -45;
  const POLL_MS = 20;
  /** Quiet for less than this, ms, is a pause inside of speech. */
  const PAUSE_MS = 400;

  const instruments = { microphone: [], voice: [], recordings: [], messages: [], sent: [], channels: [], connections: [] };
  Object.defineProperty(window, "instruments", { value: instruments });

  let context;
  /** Adds `{ from, to }` to `sounds` for each stretch of sound; `to` is null while it lasts. */
  function watch(track, sounds) {
    context ??= new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let current;
    let lastLoud = 0;
    const timer = setInterval(() => {
      const now = performance.now();
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      const loud = 10 * Math.log10(power) > AUDIBLE_DBFS;
      if (loud) {
        lastLoud = now;
        if (!current) sounds.push((current = { from: now, to: null }));
      }
      const ended = track.readyState === "ended";
      if (current && (ended || now - lastLoud > PAUSE_MS)) {
        current.to = lastLoud;
        current = undefined;
      }
      if (ended) clearInterval(timer);
    }, POLL_MS);
  }

  function record(track) {
    const options = { mimeType: "audio/webm;codecs=opus", audioBitsPerSecond: 128_000 };
    const recorder = new MediaRecorder(new MediaStream([track]), options);
    const chunks = [];
    recorder.ondataavailable = ({ data }) => chunks.push(data);
    recorder.start(500);
    /** Everything up to now, as a data URL. */
    const take = async () => {
      if (recorder.state === "recording") {
        const flushed = new Promise((resolve) => recorder.addEventListener("dataavailable", resolve, { once: true }));
        recorder.requestData();
        await flushed;
      }
      return await new Promise((resolve, reject) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result);
        reader.onerror = () => reject(reader.error);
        reader.readAsDataURL(new Blob(chunks, { type: recorder.mimeType }));
      });
    };
    instruments.recordings.push({ take });
  }

  // The microphone: a clone, which hears what the page mutes. It must end with the original, or it would keep the
  // device open and its file playing.
  const clones = new WeakMap();
  const devices = navigator.mediaDevices;
  const getUserMedia = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (constraints) => {
    const stream = await getUserMedia(constraints);
    for (const track of stream.getAudioTracks()) {
      const clone = track.clone();
      clones.set(track, clone);
      watch(clone, instruments.microphone);
    }
    return stream;
  };
  const { stop } = MediaStreamTrack.prototype;
  MediaStreamTrack.prototype.stop = function () {
    const clone = clones.get(this);
    if (clone) stop.call(clone);
    stop.call(this);
  };

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...args) {
      super(...args);
      instruments.connections.push(this);
      this.addEventListener("track", ({ track }) => {
        if (track.kind !== "audio") return;
        watch(track, instruments.voice);
        record(track);
      });
    }

    createDataChannel(...args) {
      const channel = super.createDataChannel(...args);
      instruments.channels.push(channel);
      const note = (list, text) => {
        try {
          const message = JSON.parse(text);
          if (message.data?.t !== "natter-ping") list.push({ at: performance.now(), ...message });
        } catch {
          // A ping.
        }
      };
      channel.addEventListener("message", ({ data }) => note(instruments.messages, data));
      const send = channel.send.bind(channel);
      channel.send = (data) => {
        note(instruments.sent, data);
        send(data);
      };
      return channel;
    }
  };
})();
