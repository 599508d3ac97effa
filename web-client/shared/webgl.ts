// Whether this browser can draw the field, as PixiJS needs it; asked before anything is woken or loaded for it.

export const WEBGL_OFF = 'This browser cannot draw the sky, because WebGL is off. Turn on graphics acceleration and reload.';

export function canDraw(): boolean {
  try {
    const canvas = document.createElement('canvas');
    const gl = canvas.getContext('webgl2', { stencil: true }) ?? canvas.getContext('webgl', { stencil: true });
    // A page may only have a few contexts.
    gl?.getExtension('WEBGL_lose_context')?.loseContext();
    return gl !== null;
  } catch {
    return false;
  }
}
