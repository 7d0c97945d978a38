# CMakeLists.txt is the one build description. This file only lets node-gyp and prebuildify start it, so that both
# produce the binary that `npm run setup` does: build/Release/thermocline.node.
{
  "targets": [
    {
      "target_name": "thermocline",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake-js",
          "inputs": ["CMakeLists.txt"],
          # Never created, so that every build asks CMake, which knows what is fresh.
          "outputs": ["build/.always"],
          "action": ["node", "scripts/build-addon.mjs"],
        },
      ],
    },
  ],
}
