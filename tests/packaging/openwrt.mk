# SPDX-License-Identifier: MIT
# In place of OpenWrt's rules.mk, package.mk and cmake.mk: what a recipe defines is done, and no more.
ifndef INSTALL_DIR
INSTALL_DIR := install -d -m0755
INSTALL_BIN := install -m0755
CP := cp -fpR

compile:
	cmake -S "$(SOURCE)" -B "$(PKG_BUILD)" -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_INSTALL_LIBDIR=lib $(CMAKE_OPTIONS)
	cmake --build "$(PKG_BUILD)"
	DESTDIR="$(PKG_INSTALL_DIR)" cmake --install "$(PKG_BUILD)"

define BuildPackage
packages: package-$(1)
package-$(1):
$(call Package/$(1)/install,$(DESTINATION)/$(1))
endef
endif
