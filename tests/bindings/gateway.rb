# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# For ruby -r: all that follows asks the gateway of the test.
require 'natpmp'
address, port = ENV.fetch('GATEWAY').split(':')
NATPMP.options = { gateway: address, gateway_port: port.to_i }
