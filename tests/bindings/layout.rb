# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# What natpmp.rb believes of the structs, as layout.c tells what they are.
require 'natpmp'

def layout(name, struct)
  puts "#{name} #{struct.size}"
  struct.members.zip(struct.types) do |member, (type, count)|
    size = Fiddle::PackInfo::SIZE_MAP[type] * (count || 1)
    puts "#{name}.#{member} #{struct.offsetof(member)} #{size}" unless member.start_with?('mapping_')
    puts "#{name}.mapping #{struct.offsetof(member)} #{NATPMP::Library::Mapping.size}" if member == 'mapping_protocol'
  end
end

layout('natpmp_mapping', NATPMP::Library::Mapping)
layout('natpmp_state', NATPMP::Library::State)
layout('natpmp_options', NATPMP::Library::Options)
