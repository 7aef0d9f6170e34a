# SPDX-License-Identifier: MIT
# The example of the gem's page, as it is there but for what happens inside.
require 'natpmp'
NATPMP.map 633, 13033, 10, :tcp do |map|
  puts "#{map.priv} #{map.pub} #{map.mapped} #{map.life} #{map.type}"
end
