"use strict";
const Offramp = {}; // what the scripts of this page share

Offramp.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
Offramp.copy = (value) => JSON.parse(JSON.stringify(value));
Offramp.dark = window.matchMedia("(prefers-color-scheme: dark)");
Offramp.narrow = window.matchMedia("(max-width: 860px)");

// The text of an element that holds base64 of gzip.
Offramp.unpack = async function (id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
};

// Runs source as a script of the page, which its policy allows; nothing is fetched.
Offramp.run = function (source) {
  const script = document.createElement("script");
  script.textContent = source;
  document.body.append(script);
};
