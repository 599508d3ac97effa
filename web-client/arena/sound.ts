// Small synthesised sounds. Nothing plays before the first gesture, and a mute is always in sight.
import type { Frame } from './frame';

const MASTER_GAIN = 0.5;
const ENGINE_GAIN = 0.045;
/** Farther than this nothing is heard. */
const EARSHOT_LENGTHS = 18;
/** More at once is noise, not news. */
const VOICES_MAX = 10;
const CRUISE_SPEED = 7;

interface Engine {
  low: OscillatorNode;
  high: OscillatorNode;
  gain: GainNode;
}

export class Sound {
  private context: AudioContext | undefined;
  private master: GainNode | undefined;
  private noise: AudioBuffer | undefined;
  private engine: Engine | undefined;
  private voices = 0;

  constructor(private isOn: boolean) {}

  get on(): boolean {
    return this.isOn;
  }

  /** To be called from a gesture; later calls cost nothing. */
  unlock(): void {
    if (!this.isOn) return;
    if (this.context === undefined) this.build();
    if (this.context?.state === 'suspended') void this.context.resume();
  }

  setOn(isOn: boolean): void {
    this.isOn = isOn;
    if (isOn) this.unlock();
    else void this.context?.suspend();
  }

  /** A page nobody looks at is quiet. */
  rest(isHidden: boolean): void {
    if (isHidden) void this.context?.suspend();
    else if (this.isOn) void this.context?.resume();
  }

  /** The hum follows throttle and speed. */
  hum(frame: Frame): void {
    const { engine, context } = this;
    if (engine === undefined || context === undefined || !this.isOn) return;
    const own = frame.isAlive ? frame.own : undefined;
    const pace = own === undefined ? 0 : own.speed / CRUISE_SPEED;
    const pitch = 46 + 26 * pace + (own?.isBoosting === true ? 14 : 0);
    const at = context.currentTime;
    engine.low.frequency.setTargetAtTime(pitch, at, 0.08);
    engine.high.frequency.setTargetAtTime(pitch * 2.01, at, 0.08);
    engine.gain.gain.setTargetAtTime(own === undefined ? 0 : ENGINE_GAIN * (0.6 + 0.3 * own.throttle), at, 0.12);
  }

  shot(frame: Frame, x: number, y: number): void {
    this.burst(frame, x, y, { type: 'bandpass', from: 1900, to: 700, seconds: 0.07, gain: 0.16 });
  }

  hit(frame: Frame, x: number, y: number): void {
    this.burst(frame, x, y, { type: 'lowpass', from: 900, to: 160, seconds: 0.14, gain: 0.4 });
  }

  explosion(frame: Frame, x: number, y: number): void {
    this.burst(frame, x, y, { type: 'lowpass', from: 700, to: 50, seconds: 0.9, gain: 0.75 });
  }

  /** The click of a radio key. */
  radio(): void {
    const { context, master } = this;
    if (context === undefined || master === undefined || !this.isOn) return;
    const at = context.currentTime;
    const tone = context.createOscillator();
    const gain = context.createGain();
    tone.type = 'square';
    tone.frequency.setValueAtTime(1250, at);
    tone.frequency.setValueAtTime(820, at + 0.03);
    gain.gain.setValueAtTime(0.05, at);
    gain.gain.exponentialRampToValueAtTime(0.001, at + 0.08);
    tone.connect(gain).connect(master);
    tone.start(at);
    tone.stop(at + 0.09);
  }

  private burst(frame: Frame, x: number, y: number, sound: { type: BiquadFilterType; from: number; to: number; seconds: number; gain: number }): void {
    const { context, master, noise } = this;
    const far = Math.hypot(x - frame.cameraX, y - frame.cameraY);
    if (context === undefined || master === undefined || noise === undefined || !this.isOn) return;
    if (far > EARSHOT_LENGTHS || this.voices >= VOICES_MAX || context.state !== 'running') return;
    const at = context.currentTime;
    const source = new AudioBufferSourceNode(context, { buffer: noise, playbackRate: 0.9 + Math.random() * 0.2 });
    const filter = new BiquadFilterNode(context, { type: sound.type, frequency: sound.from, Q: 0.8 });
    const near = 1 - far / EARSHOT_LENGTHS;
    const gain = new GainNode(context, { gain: sound.gain * near * near });
    const pan = new StereoPannerNode(context, { pan: Math.max(-0.8, Math.min(0.8, (x - frame.cameraX) / EARSHOT_LENGTHS)) });
    filter.frequency.exponentialRampToValueAtTime(sound.to, at + sound.seconds);
    gain.gain.exponentialRampToValueAtTime(0.001, at + sound.seconds);
    source.connect(filter).connect(gain).connect(pan).connect(master);
    this.voices += 1;
    source.addEventListener('ended', () => {
      this.voices -= 1;
      pan.disconnect();
    });
    source.start(at, Math.random(), sound.seconds);
  }

  private build(): void {
    const context = new AudioContext({ latencyHint: 'interactive' });
    const master = new GainNode(context, { gain: MASTER_GAIN });
    master.connect(context.destination);
    const noise = context.createBuffer(1, context.sampleRate * 2, context.sampleRate);
    const samples = noise.getChannelData(0);
    for (let index = 0; index < samples.length; index += 1) samples[index] = Math.random() * 2 - 1;
    const filter = new BiquadFilterNode(context, { type: 'lowpass', frequency: 320 });
    const gain = new GainNode(context, { gain: 0 });
    const low = new OscillatorNode(context, { type: 'sawtooth', frequency: 60 });
    const high = new OscillatorNode(context, { type: 'triangle', frequency: 120 });
    low.connect(filter);
    high.connect(filter);
    filter.connect(gain).connect(master);
    low.start();
    high.start();
    Object.assign(this, { context, master, noise, engine: { low, high, gain } });
  }
}
